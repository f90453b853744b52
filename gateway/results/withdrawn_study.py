"""A deleted study, as destinations are to be told of it that have results of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from gateway.results.documents import StudyRecord
from gateway.schemas.stored_document import StoredDocument


class CaptureReference(StoredDocument):
    """Identifiers of a Secondary Capture that may have been sent."""

    series_instance_uid: str
    sop_instance_uid: str
    corrections: int = Field(description="Number of corrections of the identity before it.")


class WithdrawnStudy(StoredDocument):
    """State of a study at its deletion; it goes once all destinations have been told."""

    schema_: Literal["radstream.withdrawn-study/1"] = Field(
        "radstream.withdrawn-study/1", alias="schema"
    )
    requested_at: AwareDatetime
    deletions: int = Field(0, description="Number of deletions on request before this one.")
    record: StudyRecord = Field(
        description="Its record with all readings, those of pages too, without activation maps."
    )
    header: dict[str, Any] | None = Field(
        None,
        description="Header of its newest image in DICOM, in the DICOM JSON Model; None where it "
        "has none.",
    )
    captures: tuple[CaptureReference, ...] = ()
