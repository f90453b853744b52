"""Senders of the routing document that are known otherwise than by AE title and address."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.schemas.patterns import CALLER_PATTERN, FILE_PREFIX_PATTERN
from gateway.settings import TENANT_PATTERN

_Path = Annotated[str, StringConstraints(pattern=FILE_PREFIX_PATTERN)]


class NamedSender(BaseModel):
    """A sender by its API key, its token or the paths of its files.

    Several may have one name, such as those of a hospital that sends in several ways.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=CALLER_PATTERN)] = Field(
        description="Name in rules, in metrics, in telemetry and with what it sent."
    )
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)] | None = Field(
        None, description="Tenant that it belongs to; needed where the gateway has tenants."
    )
    key: Annotated[str, StringConstraints(pattern=CALLER_PATTERN)] | None = Field(
        None, description="Name of an API key."
    )
    token_subject: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, description="Subject (`sub`) of its tokens."
    )
    prefix: _Path | None = Field(
        None,
        description="Beginning of the paths of its files, below the drop folder's root or "
        "below `images/` of the bucket; of several that fit the longest counts.",
    )

    @model_validator(mode="after")
    def _is_known_by_one(self) -> Self:
        if sum(each is not None for each in (self.key, self.token_subject, self.prefix)) != 1:
            raise ValueError("has one of key, token_subject and prefix")
        return self
