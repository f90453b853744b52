"""The routing document: who sends to the gateway over DICOM."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from gateway.schemas.telemetry import CALLER_PATTERN
from gateway.settings import AE_TITLE_PATTERN


class Sender(BaseModel):
    """A DICOM application that may send, by its AE title and its addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=CALLER_PATTERN)] = Field(
        description="Name in metrics and the audit trail."
    )
    ae_title: Annotated[str, StringConstraints(pattern=AE_TITLE_PATTERN)] = Field(
        description="Calling AE title."
    )
    addresses: tuple[IPv4Network | IPv6Network, ...] = Field(
        min_length=1, description="Addresses or networks that it calls from."
    )


class RoutingDocument(BaseModel):
    """Senders of studies; the file that the setting `RADSTREAM_ROUTING__FILE` names."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal["radstream.routing/1"] = Field(alias="schema")
    senders: tuple[Sender, ...] = ()

    @field_validator("senders")
    @classmethod
    def _have_names_of_their_own(cls, senders: tuple[Sender, ...]) -> tuple[Sender, ...]:
        if len({sender.name for sender in senders}) != len(senders):
            raise ValueError("two senders have the same name")
        return senders
