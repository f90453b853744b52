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
    instance: str
    left_out: int = 0
