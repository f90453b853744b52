"""Views of a study for a sender who may not read it: what its own request made, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.documents import StudyRecord
from gateway.results.submissions import with_submissions
from gateway.results.view import study_result

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.results.documents import Reading
    from gateway.schemas.result import StudyResult
    from gateway.work.keys import WorkId


def processed_view(
    record: StudyRecord, readings: Sequence[Reading], images: Collection[str]
) -> StudyResult:
    """Return the part of a study that a request's own images have in it.

    Parameters
    ----------
    record
        The study's.
    readings
        The stored readings of the request's images: of one that was sent before, the earlier ones.
    images
        SHA-256 of each image of the request, whether it could be processed or not.
    """
    known = next((item.study_instance_uid for item in readings if item.study_instance_uid), None)
    part = StudyRecord(
        study_id=record.study_id,
        received_at=min((item.received_at for item in readings), default=None),
        changed_at=record.changed_at,
        study_instance_uid=known,
        open_images=tuple(item for item in record.open_images if item.sha256 in images),
        missing_readings=tuple(item for item in record.missing_readings if item.sha256 in images),
    )
    return study_result(part, readings, whole=True)


def accepted_view(record: StudyRecord, work: WorkId) -> StudyResult:
    """Return the part of a study that a submission has in it while it waits."""
    part = StudyRecord(
        study_id=record.study_id,
        received_at=work.received_at,
        changed_at=record.changed_at,
        pending=tuple(item for item in record.pending if item.id == work.id),
    )
    return with_submissions(study_result(part), part)
