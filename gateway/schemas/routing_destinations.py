"""Destinations of results: systems that take them, by the way in which each does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from gateway.schemas.hl7 import MessageForm
from gateway.schemas.patterns import (
    ASCII_PATTERN,
    ASCII_WORDS_PATTERN,
    DESTINATION_PATTERN,
    HOST_PATTERN,
    HTTPS_URL_PATTERN,
    SERVICE_URL_PATTERN,
    URI_PATTERN,
    USER_PATTERN,
)
from gateway.schemas.report_class import DEFAULT, ReportClass
from gateway.schemas.result import RenderingKind
from gateway.settings import AE_TITLE_PATTERN, TENANT_PATTERN
from gateway.settings.group import ASCII_WORD_PATTERN


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
    report_class: ReportClass = Field(
        DEFAULT, description="SOP class that it takes structured reports in."
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

    user: str = Field(pattern=USER_PATTERN)
    password_file: Path = Field(description="File of the password, read again for each request.")


class StowDestination(_DicomRenderings):
    """Archive that takes objects by STOW-RS."""

    kind: Literal["stow"]
    url: str = Field(
        max_length=2048,
        pattern=SERVICE_URL_PATTERN,
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


_Uri = Annotated[str, StringConstraints(pattern=URI_PATTERN, max_length=255)]


class ClientCredentials(BaseModel):
    """Client of an authorization server (OAuth 2.0, RFC 6749, 4.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_url: str = Field(
        max_length=2048, pattern=HTTPS_URL_PATTERN, description="Token endpoint."
    )
    client_id: str = Field(pattern=ASCII_PATTERN)
    secret_file: Path | None = Field(
        None, description="File of the client secret, read again for each token."
    )
    private_key_file: Path | None = Field(
        None,
        description="In place of a secret: PEM file of the RSA or P-384 key that the client signs "
        "with, read again for each token.",
    )
    key_id: str | None = Field(
        None,
        pattern=ASCII_WORD_PATTERN,
        description="Id of that key in the client's key set (kid).",
    )
    scope: str | None = Field(
        None, pattern=ASCII_WORDS_PATTERN, description="Scopes that are asked for."
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
        max_length=2048, pattern=SERVICE_URL_PATTERN, description="Base URL of the server."
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
        pattern=HTTPS_URL_PATTERN,
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
