"""The routing document: senders, rules, and destinations of results."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
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

from gateway.schemas.hl7 import MessageForm
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_rules import RoutingRules
from gateway.schemas.routing_senders import NamedSender
from gateway.schemas.stop_rules import StopRule
from gateway.schemas.telemetry import CALLER_PATTERN
from gateway.settings import AE_TITLE_PATTERN, TENANT_PATTERN

DESTINATION_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
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


class DestinationTls(BaseModel):
    """TLS to a destination: PEM files, read again for each connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path | None = Field(
        None, description="Certificate chain that the gateway shows, its own first."
    )
    key: Path | None = Field(None, description="Private key of that certificate.")
    authorities: Path | None = Field(
        None, description="Authorities that certify the destination; if unset, the system's."
    )

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self


class _Destination(BaseModel):
    """System that takes results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=DESTINATION_PATTERN)] = Field(
        description="Name in metrics, in the audit trail and in each study's `deliveries`."
    )
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)] | None = Field(
        None, description="Tenant whose results it gets; needed where the gateway has tenants."
    )


_DicomKind = Literal[
    RenderingKind.STRUCTURED_REPORT,
    RenderingKind.SECONDARY_CAPTURE,
    RenderingKind.REJECTION_NOTE,
]


class _DicomRenderings(_Destination):
    renderings: tuple[_DicomKind, ...] = Field(
        (
            RenderingKind.STRUCTURED_REPORT,
            RenderingKind.SECONDARY_CAPTURE,
            RenderingKind.REJECTION_NOTE,
        ),
        min_length=1,
        description="Forms of the results that it takes.",
    )


class CommitmentWait(BaseModel):
    """Storage commitment that is asked of an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_s: float = Field(30.0, gt=0, le=300, description="Seconds that its report is waited for.")


class DicomDestination(_DicomRenderings):
    """Archive that takes objects by C-STORE."""

    kind: Literal["dicom"]
    ae_title: Annotated[str, StringConstraints(pattern=AE_TITLE_PATTERN)] = Field(
        description="Called AE title."
    )
    host: Annotated[str, StringConstraints(pattern=HOST_PATTERN)] = Field(
        description="Host name or address."
    )
    port: int = Field(ge=1, le=65535)
    calling_ae_title: Annotated[str, StringConstraints(pattern=AE_TITLE_PATTERN)] | None = Field(
        None, description="AE title that the gateway calls by; if unset, the listener's."
    )
    tls: DestinationTls | None = Field(
        None,
        description="Speaks TLS; what it leaves unset is the listener's. A certificate is held to "
        "its authority, not to the host name.",
    )
    storage_commitment: CommitmentWait | None = Field(
        None,
        description="Confirms objects by storage commitment, `{}` with the defaults; if unset, by "
        "C-FIND where it answers one. A report that does not come on the association of its "
        "request comes to the listener, from a sender of the document.",
    )


class BasicCredentials(BaseModel):
    """User name and password (RFC 7617)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(pattern=r"^[ -9;-~]+$")
    password_file: Path = Field(description="File of the password, read again for each request.")


class StowDestination(_DicomRenderings):
    """Archive that takes objects by STOW-RS."""

    kind: Literal["stow"]
    url: str = Field(
        max_length=2048,
        pattern=r"^https?://[^\s@?#]+$",
        description="Root of its DICOMweb service, the part before `/studies`.",
    )
    bearer_file: Path | None = Field(
        None, description="File of the bearer token, read again for each request."
    )
    basic: BasicCredentials | None = None
    tls: DestinationTls | None = Field(
        None, description="Certificate of the gateway, and authorities other than the system's."
    )

    @model_validator(mode="after")
    def _keeps_secrets(self) -> Self:
        if self.bearer_file is not None and self.basic is not None:
            raise ValueError("it has a bearer token or a password, not both")
        has_secret = self.bearer_file is not None or self.basic is not None
        if (has_secret or self.tls is not None) and not self.url.startswith("https://"):
            raise ValueError("credentials and certificates need an https URL")
        return self


_Uri = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$", max_length=255)
]


class ClientCredentials(BaseModel):
    """Client of an authorization server (OAuth 2.0, RFC 6749, 4.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_url: str = Field(
        max_length=2048, pattern=r"^https://[^\s@#]+$", description="Token endpoint."
    )
    client_id: str = Field(pattern=r"^[ -~]+$")
    secret_file: Path | None = Field(
        None, description="File of the client secret, read again for each token."
    )
    private_key_file: Path | None = Field(
        None,
        description="In place of a secret: PEM file of the RSA or P-384 key that the client signs "
        "with, read again for each token.",
    )
    key_id: str | None = Field(
        None, pattern=r"^[!-~]+$", description="Id of that key in the client's key set (kid)."
    )
    scope: str | None = Field(
        None, pattern=r"^[!-~]+( [!-~]+)*$", description="Scopes that are asked for."
    )

    @model_validator(mode="after")
    def _has_one_proof(self) -> Self:
        if (self.secret_file is None) == (self.private_key_file is None):
            raise ValueError("it has a secret_file or a private_key_file")
        if self.key_id is not None and self.private_key_file is None:
            raise ValueError("key_id goes with a private_key_file")
        return self


class FhirDestination(_Destination):
    """Server that takes results as HL7 FHIR."""

    kind: Literal["fhir"]
    url: str = Field(
        max_length=2048, pattern=r"^https?://[^\s@?#]+$", description="Base URL of the server."
    )
    release: Literal["R4", "R5"] = Field("R4", description="Release of FHIR that it speaks.")
    client_credentials: ClientCredentials | None = None
    tls: DestinationTls | None = Field(
        None, description="Certificate of the gateway, and authorities other than the system's."
    )
    patient_system: _Uri | None = Field(
        None, description="System (URI) of the identifiers of patients, such as urn:oid:1.2.3."
    )
    order_system: _Uri | None = Field(
        None, description="System (URI) of the identifiers of orders: the accession numbers."
    )
    renderings: tuple[Literal[RenderingKind.FHIR], ...] = Field(
        (RenderingKind.FHIR,), min_length=1, description="Forms of the results that it takes."
    )

    @model_validator(mode="after")
    def _keeps_secrets(self) -> Self:
        has_secret = self.client_credentials is not None or self.tls is not None
        if has_secret and not self.url.startswith("https://"):
            raise ValueError("credentials and certificates need an https URL")
        return self


class Hl7Destination(_Destination):
    """Receiver of HL7 v2 messages over MLLP."""

    kind: Literal["hl7"]
    host: Annotated[str, StringConstraints(pattern=HOST_PATTERN)] = Field(
        description="Host name or address."
    )
    port: int = Field(ge=1, le=65535)
    tls: DestinationTls | None = Field(None, description="Speaks TLS (MLLPS).")
    message: MessageForm = Field(MessageForm(), description="Form of its messages.")
    renderings: tuple[Literal[RenderingKind.ORU], ...] = Field(
        (RenderingKind.ORU,), min_length=1, description="Forms of the results that it takes."
    )


class WebhookDestination(_Destination):
    """Webhook that is told of each study, without findings."""

    kind: Literal["webhook"]
    url: str = Field(
        max_length=2048,
        pattern=r"^https://[^\s@#]+$",
        description="URL that notices are posted to.",
    )
    secret_file: Path = Field(
        description="File of the secret that notices are signed with, 32 characters or more, read "
        "again for each."
    )
    tls: DestinationTls | None = Field(
        None, description="Certificate of the gateway, and authorities other than the system's."
    )
    renderings: tuple[Literal[RenderingKind.NOTICE], ...] = Field(
        (RenderingKind.NOTICE,), min_length=1, description="Forms of the results that it takes."
    )


Destination = Annotated[
    DicomDestination | StowDestination | FhirDestination | Hl7Destination | WebhookDestination,
    Field(discriminator="kind"),
]
"""System that takes results, by the way in which it takes them."""


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
    """Limits of one tenant, which each gateway holds it to by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    studies_at_once: int | None = Field(
        None, ge=1, le=10_000, description="Studies that it may have at work over HTTP at once."
    )
    studies_per_minute: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Studies over HTTP, and instances over DICOM and STOW-RS, that it may send in "
        "a minute.",
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.studies_at_once is None and self.studies_per_minute is None:
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
