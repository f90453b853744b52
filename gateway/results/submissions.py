"""Submissions in the document of their study: pending from their acceptance on, or failed.

The swap that adds one is the promise to its sender; the one that adds the readings made of it
removes it (`gateway.results.store`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.audit.trail import note_correction
from gateway.errors import (
    DeliveryUnfinishedError,
    ParkedItemNotFoundError,
    StudyBacklogFullError,
)
from gateway.observability.pseudonyms import key_reference
from gateway.problems import URN, problem_of_kind
from gateway.results.completion import arrived
from gateway.results.documents import FailedImages, PendingImages, StudyRecord
from gateway.results.failed_images import failed_images
from gateway.results.identity import is_correction, joined
from gateway.schemas.result import FailedSubmission, PendingSubmission
from gateway.storage.layout import SUBMISSIONS
from gateway.work.documents import Submission
from gateway.work.keys import WorkId, parked_key, received_at
from gateway.work.states import Standing, WorkStates

if TYPE_CHECKING:
    import datetime as dt

    from gateway.results.completion import Arrival
    from gateway.results.study_documents import Seen, StudyDocuments
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.parked import ParkedItem
    from gateway.schemas.problem import Problem
    from gateway.schemas.result import StudyResult
    from gateway.work.documents import WorkDocument

# With what a document holds besides it stays below 64 KiB, its readings being on pages by then.
MOST_SUBMISSIONS = 320
# Of the problems of failed submissions that it has in full.
_TOLD_BYTES = 8 * 1024
# Of the images of failed submissions that it tells again.
_SENT = 100


class StudySubmissions(WorkStates):
    """Submissions of all studies.

    Parameters
    ----------
    documents
        Of the studies.
    """

    def __init__(self, documents: StudyDocuments) -> None:
        self._documents = documents

    async def check_room(self, study_id: str) -> None:
        """Refuse a submission to a study that is known to hold as many as it may.

        Raises
        ------
        StudyBacklogFullError, StudyBeingDeletedError
        """
        seen = self._documents.remembered(study_id)
        if seen is not None and _is_full(seen.record):
            seen = await self._documents.read(study_id)
            if _is_full(seen.open_record()):
                raise StudyBacklogFullError(MOST_SUBMISSIONS)

    async def promise(
        self,
        work: WorkId,
        metadata: StudyMetadata,
        images: int,
        seen: Seen,
        *,
        corrects: bool = False,
        arrival: Arrival | None = None,
        has_entry: bool = False,
    ) -> StudyRecord:
        """Return the record of the study, which has the submission pending from now on.

        Parameters
        ----------
        arrival, has_entry
            Its part in the study's completion, which has an entry if it is to be opened.
        corrects
            True if its sender may correct the study's identity.

        Raises
        ------
        StudyConflictError, StudyBacklogFullError, StudyBeingDeletedError
            It has not, and will not.
        """
        item = PendingImages(id=work.id, images=images)

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun(work.study_id)
            if any(other.id == work.id for other in record.pending):
                return record
            identity = joined(metadata, record, corrects=corrects)
            if _is_full(record):
                raise StudyBacklogFullError(MOST_SUBMISSIONS)
            completion = record.completion
            if arrival is not None:
                is_corrected = any(
                    getattr(record, name) != value for name, value in identity.items()
                )
                brought = replace(arrival, readings=None) if is_corrected else arrival
                completion = arrived(record, brought, has_entry=has_entry)
            return record.changed(
                received_at=record.received_at or work.received_at,
                completion=completion,
                **identity,
                pending=(*record.pending, item),
            )

        record = await self._documents.change(work.study_id, change, seen)
        if is_correction(metadata, seen.record, record, corrects=corrects):
            note_correction()
        return record

    async def keeps(self, work: WorkId) -> bool:
        """Return True if the images of a submission are kept: it is pending, or has failed."""
        record = (await self._documents.read(work.study_id)).record
        if record is None:
            return False
        return work.id in [
            *(item.id for item in record.pending),
            *(item.id for item in record.failed),
        ]

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """See `WorkStates.standing`."""
        seen = await self._documents.read(work.study_id)
        record = seen.record
        if seen.closing is not None:
            return Standing.DELETED
        if record is not None and any(item.id == work.id for item in record.pending):
            return Standing.PENDING
        if record is not None and any(item.id == work.id for item in record.failed):
            return Standing.FAILED
        if not tried:
            return Standing.UNPROMISED
        return Standing.DELETED if record is None else Standing.DONE

    async def postponed(
        self, work: WorkId, due: dt.datetime, attempts: int, problem: Problem
    ) -> None:
        """See `WorkStates.postponed`."""
        kind = problem.type.removeprefix(URN)
        news = {"due": due, "attempts": attempts, "problem": kind}

        def change(record: StudyRecord) -> StudyRecord:
            pending = (
                item.model_copy(update=news) if item.id == work.id else item
                for item in record.pending
            )
            return record.changed(pending=tuple(pending))

        await self._documents.change_known(work.study_id, change)

    async def failed(self, work: WorkId, document: WorkDocument | None, item: ParkedItem) -> None:
        """See `WorkStates.failed`."""
        sent = failed_images(document.parts) if isinstance(document, Submission) else ()

        def change(record: StudyRecord) -> StudyRecord:
            waiting = next((other for other in record.pending if other.id == work.id), None)
            if waiting is None:
                return record
            failure = FailedImages(
                id=work.id,
                images=waiting.images,
                attempts=waiting.attempts if document is None else document.attempts,
                failed_at=item.parked_at,
                problem=item.problem.type.removeprefix(URN),
                told=item.problem if _has_room(record, item.problem) else None,
                sent=sent if _knows(record) + len(sent) <= _SENT else (),
            )
            return record.changed(
                pending=without(record, work.id), failed=(*record.failed, failure)
            )

        await self._documents.change_known(work.study_id, change)

    async def revived(self, work: WorkId, due: dt.datetime) -> None:
        """See `WorkStates.revived`.

        Raises
        ------
        ParkedItemNotFoundError
            It has not failed.
        """

        def change(record: StudyRecord) -> StudyRecord:
            if any(item.id == work.id for item in record.pending):
                return record
            failure = next((item for item in record.failed if item.id == work.id), None)
            if failure is None:
                raise ParkedItemNotFoundError
            item = PendingImages(
                id=work.id, images=failure.images, due=due, attempts=failure.attempts
            )
            failed = tuple(other for other in record.failed if other.id != work.id)
            return record.changed(pending=(*record.pending, item), failed=failed)

        await self._documents.change_known(work.study_id, change)

    async def discarded(self, work: WorkId) -> bool:
        """See `WorkStates.discarded`."""

        def change(record: StudyRecord) -> StudyRecord:
            failed = tuple(item for item in record.failed if item.id != work.id)
            return record if failed == record.failed else record.changed(failed=failed)

        record = await self._documents.change_known(work.study_id, change)
        return all(item.id != work.id for item in record.pending)


def without(record: StudyRecord, submission: str | None) -> tuple[PendingImages, ...]:
    """Return the pending submissions of a record less one.

    Raises
    ------
    DeliveryUnfinishedError
        It is not among them: another gateway did it, or its study was deleted.
    """
    if submission is None:
        return record.pending
    pending = tuple(item for item in record.pending if item.id != submission)
    if len(pending) == len(record.pending):
        raise DeliveryUnfinishedError("it is no longer pending")
    return pending


def with_submissions(result: StudyResult, record: StudyRecord) -> StudyResult:
    """Return the view of a study with its submissions that are pending, and those that failed."""
    return result.model_copy(
        update={
            "pending": tuple(map(_pending, record.pending)) or None,
            "failures": tuple(_failed(record.study_id, item) for item in record.failed) or None,
        }
    )


def _pending(item: PendingImages) -> PendingSubmission:
    return PendingSubmission(
        received_at=received_at(item.id),
        images=item.images,
        attempts=item.attempts,
        next_attempt_at=item.due,
        problem=None if item.problem is None else problem_of_kind(item.problem),
    )


def _failed(study_id: str, item: FailedImages) -> FailedSubmission:
    parked = key_reference(parked_key(SUBMISSIONS, WorkId(study_id, item.id)))
    return FailedSubmission(
        received_at=received_at(item.id),
        failed_at=item.failed_at,
        images=item.images,
        attempts=item.attempts,
        parked=parked,
        problem=item.told or problem_of_kind(item.problem),
    )


def _is_full(record: StudyRecord | None) -> bool:
    return record is not None and len(record.pending) + len(record.failed) >= MOST_SUBMISSIONS


def _knows(record: StudyRecord) -> int:
    """Return the number of failed images that the record has to tell again."""
    return sum(len(item.sent) for item in record.failed)


def _has_room(record: StudyRecord, problem: Problem) -> bool:
    told = [item.told for item in record.failed if item.told is not None]
    return sum(len(each.model_dump_json()) for each in [*told, problem]) <= _TOLD_BYTES
