"""The routing document: who sends to the gateway over DICOM."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from gateway.schemas.telemetry import CALLER_PATTERN
from gateway.settings import AE_TITLE_PATTERN

HOST_PATTERN = r"^[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$"


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
