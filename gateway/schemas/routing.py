"""The routing document: senders, rules, and destinations of results."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from gateway.schemas.patterns import CALLER_PATTERN, HOST_PATTERN
from gateway.schemas.routing_destinations import Destination
from gateway.schemas.routing_rules import RoutingRules
from gateway.schemas.routing_senders import NamedSender
from gateway.schemas.stop_rules import StopRule
from gateway.settings import AE_TITLE_PATTERN, TENANT_PATTERN


class StorageCommitment(BaseModel):
    """Storage commitment for a sender: the address that takes the reports on its requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port that a report is sent to where the association of its request is gone; "
        "if unset, reports come on that association alone.",
    )
    host: Annotated[str, StringConstraints(pattern=HOST_PATTERN)] | None = Field(
        None, description="Host of that port; if unset, the address that the request came from."
    )
    tls: bool = Field(
        False,
        description="Speaks TLS to that port, with the listener's certificate and authorities.",
    )


class Sender(BaseModel):
    """A DICOM application that may send, by its AE title and its addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=CALLER_PATTERN)] = Field(
        description="Name in metrics and the audit trail."
    )
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)] | None = Field(
        None, description="Tenant that it belongs to; needed where the gateway has tenants."
    )
    ae_title: Annotated[str, StringConstraints(pattern=AE_TITLE_PATTERN)] = Field(
        description="Calling AE title."
    )
    addresses: tuple[IPv4Network | IPv6Network, ...] = Field(
        min_length=1, description="Addresses or networks that it calls from."
    )
    corrects_identity: bool = Field(
        False,
        description="Lets it correct the patient and the order of a study: what it sends counts "
        "before what is stored.",
    )
    storage_commitment: StorageCommitment | None = Field(
        None, description="Lets it ask for storage commitment; if unset, it may not."
    )


def _kind_of_sender(value: Any) -> str:
    """Return the kind of a sender by what it is known by."""
    if isinstance(value, dict):
        return "other" if value.keys() & {"key", "token_subject", "prefix"} else "dicom"
    return "other" if isinstance(value, NamedSender) else "dicom"


_AnySender = Annotated[
    Annotated[Sender, Tag("dicom")] | Annotated[NamedSender, Tag("other")],
    Discriminator(_kind_of_sender),
]


class Quota(BaseModel):
    """Limits of one tenant: gateways have a share each of what is of the moment or the minute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    studies_at_once: int | None = Field(
        None, ge=1, le=10_000, description="Studies that it may have at work over HTTP at once."
    )
    studies_per_minute: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Studies over HTTP and in the drop folder, and instances over DICOM and "
        "STOW-RS, that it may send in a minute.",
    )
    bytes_per_minute: int | None = Field(
        None, ge=1, description="Bytes of files and documents that it may send in a minute."
    )
    studies_per_day: int | None = Field(
        None, ge=1, description="Studies and instances that it may send in a day (UTC)."
    )
    bytes_per_day: int | None = Field(
        None, ge=1, description="Bytes of files and documents that it may send in a day (UTC)."
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if all(value is None for name, value in self if name != "tenant"):
            raise ValueError("needs a limit")
        return self


class RoutingDocument(RoutingRules):
    """Senders, rules and destinations: the file that `RADSTREAM_ROUTING__FILE` names."""

    schema_: Literal["radstream.routing/1"] = Field(alias="schema")
    senders: tuple[_AnySender, ...] = ()
    destinations: tuple[Destination, ...] = ()
    quotas: tuple[Quota, ...] = Field((), description="Limits of tenants, one entry for each.")
    stop_rules: tuple[StopRule, ...] = Field(
        (), max_length=64, description="Limits of models' health, and what follows beyond them."
    )

    @property
    def dicom_senders(self) -> tuple[Sender, ...]:
        """Senders over DICOM."""
        return tuple(each for each in self.senders if isinstance(each, Sender))

    @property
    def named_senders(self) -> tuple[NamedSender, ...]:
        """Senders that are known by a key, a token or a folder."""
        return tuple(each for each in self.senders if isinstance(each, NamedSender))

    @model_validator(mode="after")
    def _has_senders_of_one_meaning(self) -> Self:
        names = [sender.name for sender in self.dicom_senders]
        if len(set(names)) != len(names):
            raise ValueError("two senders over DICOM have the same name")
        marks = [(each.key, each.token_subject, each.prefix) for each in self.named_senders]
        if len(set(marks)) != len(marks):
            raise ValueError("two senders have the same key, token or folder")
        return self

    @field_validator("quotas")
    @classmethod
    def _are_of_different_tenants(cls, quotas: tuple[Quota, ...]) -> tuple[Quota, ...]:
        if len({quota.tenant for quota in quotas}) != len(quotas):
            raise ValueError("two quotas are of the same tenant")
        return quotas

    @field_validator("destinations")
    @classmethod
    def _are_told_apart(cls, destinations: tuple[Destination, ...]) -> tuple[Destination, ...]:
        if len({destination.name for destination in destinations}) != len(destinations):
            raise ValueError("two destinations have the same name")
        return destinations

    @field_validator("stop_rules")
    @classmethod
    def _have_names_of_their_own(cls, rules: tuple[StopRule, ...]) -> tuple[StopRule, ...]:
        if len({rule.name for rule in rules}) != len(rules):
            raise ValueError("two stop rules have the same name")
        return rules

    @model_validator(mode="after")
    def _knows_its_destinations(self) -> Self:
        parts = [*self.rules, *([self.otherwise] if self.otherwise else [])]
        named = {name for part in parts for name in part.destinations}
        if named - {destination.name for destination in self.destinations}:
            raise ValueError("a rule names a destination that is not among the destinations")
        return self


def routing_schema() -> dict[str, Any]:
    """Return the JSON Schema of a routing document, as docs/schemas/routing-1.json has it."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **RoutingDocument.model_json_schema()}
