"""Entry of a study in the index."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, Field

from gateway.results.search_attributes import study_attributes
from gateway.results.view import study_status, study_summary
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.schemas.result import Status, study_path
from gateway.schemas.stored_document import Counts, StoredDocument
from gateway.schemas.study_list import StudySummary

if TYPE_CHECKING:
    from gateway.results.documents import StudyRecord


class IndexEntry(StoredDocument):
    """Attributes of a study by which it is searched and listed."""

    study_id: str
    received_at: AwareDatetime
    changed_at: AwareDatetime = Field(description="Of the document that it was made of.")
    completed_at: AwareDatetime | None = None
    state: Status
    study_instance_uid: str | None = None
    patient_id: str | None = None
    accession_number: str | None = None
    study_date: dt.date | None = None
    study_time: dt.time | None = None
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    senders: tuple[str, ...] = Field((), description="Labels of the callers that sent it.")
    routes: tuple[str, ...] = ()
    series: Counts = Field({}, description="Number of instances by Series Instance UID.")
    images: int = Field(0, description="Number of images, each frame being one.")
    positive: tuple[str, ...] = Field((), description="Labels positive in any image.")
    warnings: int = 0
    feedback: int = Field(0, description="Number of judgements on its findings.")

    @property
    def day(self) -> dt.date:
        """Return the day (UTC) that the study was received on: it never changes."""
        return self.received_at.astimezone(dt.UTC).date()

    @property
    def place(self) -> tuple[dt.datetime, str]:
        """Return what answers are ordered by, newest first."""
        return self.received_at, self.study_id

    def summary(self) -> StudySummary:
        """Return the study as it is listed."""
        return StudySummary(
            study_id=self.study_id,
            status=self.state,
            received_at=self.received_at,
            completed_at=self.completed_at,
            images=self.images,
            positive=self.positive,
            study_instance_uid=self.study_instance_uid,
            study_date=self.study_date,
            accession_number=self.accession_number,
            patient_id=self.patient_id,
            modalities=self.modalities,
            body_parts=self.body_parts,
            senders=self.senders,
            series=len(self.series),
            warnings=self.warnings,
            feedback=self.feedback,
            href=study_path(self.study_id),
        )


def entry_of(record: StudyRecord) -> IndexEntry | None:
    """Return the entry of a study; None of one that is not listed.

    Nothing of it was promised any more, or it is a probe's, which comes every minute and goes.
    """
    if not has_images(record) or record.study_id.startswith(PROBE_PREFIX):
        return None
    if record.received_at is None:
        return None
    summary = study_summary(record, study_status(record))
    attributes = study_attributes(record)
    return IndexEntry(
        study_id=record.study_id,
        received_at=record.received_at,
        changed_at=record.changed_at,
        completed_at=summary.completed_at,
        state=summary.status,
        study_instance_uid=record.study_instance_uid,
        patient_id=record.identity.get("patient_id"),
        accession_number=record.identity.get("accession_number"),
        study_date=attributes.study_date,
        study_time=attributes.study_time,
        modalities=attributes.modalities,
        body_parts=attributes.body_parts,
        senders=attributes.senders,
        routes=attributes.routes,
        series=attributes.series,
        images=summary.images,
        positive=summary.positive,
        warnings=attributes.warnings,
        feedback=len(record.feedback),
    )


def has_images(record: StudyRecord) -> bool:
    """Return True of a study with images, processed or not."""
    return bool(record.images or record.pending or record.failed)
