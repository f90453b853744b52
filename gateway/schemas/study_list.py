"""Lists of studies, as the API answers them."""

from __future__ import annotations

import datetime as dt

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.schemas.problem import Problem
from gateway.schemas.result import Status


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class StudySummary(_Wire):
    """A study in a list."""

    study_id: str
    status: Status
    received_at: AwareDatetime
    completed_at: AwareDatetime | None = None
    images: int = Field(description="Number of images, less the superseded ones.")
    positive: tuple[str, ...] = Field(description="Labels positive in any image.")
    study_instance_uid: str | None = Field(None, description="Study Instance UID (0020,000D).")
    study_date: dt.date | None = Field(None, description="Study Date (0008,0020).")
    accession_number: str | None = Field(None, description="Accession Number (0008,0050).")
    patient_id: str | None = Field(None, description="Patient ID (0010,0020).")
    modalities: tuple[str, ...] = Field((), description="Modality (0008,0060) of its images.")
    body_parts: tuple[str, ...] = Field(
        (), description="Body Part Examined (0018,0015) of its images."
    )
    senders: tuple[str, ...] = Field(
        (), description="Senders of its images: names of keys and of DICOM senders."
    )
    series: int = Field(0, description="Number of its DICOM series.")
    warnings: int = Field(0, description="Number of warnings to its senders.")
    feedback: int = Field(0, description="Number of judgements on its findings.")
    href: str = Field(description="Path of the study's result.")


class UnreadableStudy(_Wire):
    """A study in a list, one of whose stored documents is unreadable."""

    study_id: str
    problem: Problem = Field(description="Unreadable document, and the operator's next step.")


class SearchedDays(_Wire):
    """Days (UTC) of receipt that were searched."""

    first: dt.date = Field(serialization_alias="from")
    last: dt.date = Field(serialization_alias="to")


class StudyList(_Wire):
    """One page of studies: by study_id or, of a search, newest receipt first."""

    studies: tuple[StudySummary, ...]
    unreadable: tuple[UnreadableStudy, ...] | None = Field(
        None, description="Studies of this page whose stored documents cannot be read."
    )
    searched: SearchedDays | None = Field(
        None, description="Days that a search looked at; absent where it looked at all."
    )
    next: str | None = Field(None, description="Path of the next page, where there is one.")
