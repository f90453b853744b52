"""A record of the audit trail; docs/security.md maps its fields to FHIR and DICOM."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.stored_document import StoredDocument


class AuditAction(StrEnum):
    """Kind of operation, by the codes of DICOM PS3.15 A.5 (EventActionCode) and FHIR."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class AuditOutcome(StrEnum):
    """Result of an operation."""

    SUCCESS = "success"
    PARTIAL = "partial"
    REFUSED = "refused"
    FAILED = "failed"


class AuditAgent(BaseModel):
    """Caller that did an operation, or the gateway itself."""

    model_config = ConfigDict(frozen=True)

    kind: str
    name: str


class AuditChange(BaseModel):
    """Change of a part of a configuration document.

    Parameters
    ----------
    pointer
        JSON pointer of the part; entries with a name stand under it in place of their number.
    before, after
        The part in JSON, cut where it is long; None where there was or is none.
    """

    model_config = ConfigDict(frozen=True)

    pointer: str
    before: str | None = None
    after: str | None = None


class AuditDisclosure(BaseModel):
    """Results that were sent to a destination.

    Parameters
    ----------
    destination
        Its name in the routing document.
    rendering, objects
        Form of the results, and the identifiers of what was sent, such as SOP Instance UIDs.
    patient_ref
        Keyed hash of the Patient ID; None where the study has none.
    """

    model_config = ConfigDict(frozen=True)

    destination: str
    rendering: str
    objects: tuple[str, ...]
    patient_ref: str | None = None


class AuditRecord(StoredDocument):
    """Account of an operation: who did what to which study, when, and how it ended.

    It names studies by their ids and callers by their names: it is no log, and is to be kept like
    the results themselves.
    """

    schema_: Literal["radstream.audit/1"] = Field("radstream.audit/1", alias="schema")
    id: UUID
    recorded_at: AwareDatetime
    operation: str
    action: AuditAction
    outcome: AuditOutcome
    status: int | None = None
    agent: AuditAgent | None = None
    address: str | None = None
    studies: tuple[str, ...] = ()
    image: int | None = None
    request_id: str | None = None
    trace_id: str | None = None
    identity_corrected: bool | None = Field(
        None, description="True where the patient or the order of the study was corrected."
    )
    unrouted: str | None = Field(
        None, description="Outcome of the rules for images that they refused."
    )
    document: str | None = Field(
        None, description="Digest of the configuration document that came into force."
    )
    reason: str | None = Field(
        None, description="Fault for which a configuration document was refused."
    )
    changes: tuple[AuditChange, ...] | None = Field(
        None, description="Changes of the configuration document."
    )
    disclosed: AuditDisclosure | None = Field(
        None, description="Results that were sent to a destination."
    )
    tenant: str | None = Field(None, description="Tenant whose studies it is about.")
    instance: str
    left_out: int = 0
