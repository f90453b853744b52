"""State of each known study: what is stored of it, and what is still on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import (
    StudyBeingDeletedError,
    StudyDeletedError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.results.documents import StudyRecord
from gateway.results.tombstone import Reason
from gateway.results.view import study_result, study_summary
from gateway.runtime.concurrency import together
from gateway.schemas.result import Status
from gateway.storage.layout import RESULTS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from gateway.results.deletion import Deletion
    from gateway.results.store import ResultStore
    from gateway.schemas.result import (
        FailedSubmission,
        PendingSubmission,
        StudyResult,
        StudySummary,
    )
    from gateway.storage.protocol import ObjectStore


class PendingStudies(Protocol):
    """Studies that were accepted and are not processed yet, or failed for good."""

    async def studies(self, *, after: str, limit: int) -> list[str]:
        """Return ids of studies of which something is pending, beyond `after`."""
        ...

    async def of(
        self, study_id: str
    ) -> tuple[tuple[PendingSubmission, ...], tuple[FailedSubmission, ...]]:
        """Return what is pending of a study, and what failed for good of it."""
        ...


class StudyCatalog:
    """Every study that was accepted, whatever became of it."""

    def __init__(
        self,
        objects: ObjectStore,
        *,
        results: ResultStore,
        pending: PendingStudies,
        deletion: Deletion,
    ) -> None:
        self._objects = objects
        self._results = results
        self._pending = pending
        self._deletion = deletion

    async def result(self, study_id: str) -> StudyResult:
        """The study's current view, with what is on its way and what failed.

        Raises
        ------
        StudyNotFoundError
        StudyDeletedError
            It was here once.
        """
        result, _ = await self.identified_result(study_id)
        return result

    async def identified_result(
        self, study_id: str
    ) -> tuple[StudyResult, Mapping[str, str | None]]:
        """Return the study's current view, and its identifying attributes; see `result`."""
        state = await self._state(study_id)
        if state is not None:
            earlier = await self._results.earlier(state.record)
            result = state.told(study_result(state.record, earlier, whole=True))
            return result, state.record.identity
        if await self._deletion.was_deleted(study_id):
            raise StudyDeletedError
        raise StudyNotFoundError

    async def delete(self, study_id: str) -> None:
        """Remove all that is kept of the study, on request.

        Raises
        ------
        StudyNotFoundError
        StudyDeletedError
            That has been done.
        """
        if not await self._deletion.exists(study_id):
            if await self._deletion.was_deleted(study_id):
                raise StudyDeletedError
            raise StudyNotFoundError
        await self._deletion.delete(study_id, Reason.REQUEST)

    async def ids(self, *, after: str, limit: int) -> list[str]:
        """Ids of studies in the order of their keys, beyond `after`."""
        stored, coming = await together(
            [
                self._objects.folders(RESULTS, after=after, limit=limit),
                self._pending.studies(after=after, limit=limit),
            ]
        )
        return sorted({*stored, *coming}, key=lambda name: f"{name}/")[:limit]

    async def summaries(
        self, study_ids: list[str]
    ) -> list[StudySummary | tuple[str, UnreadableDocumentError]]:
        """Of each study a summary; none of one that is only begun, or gone by now.

        Of a study whose documents cannot be read its id and the error stand in their place: the
        others are listed no less for it.
        """
        found = await together(self._summary(study_id) for study_id in study_ids)
        return [item for item in found if item is not None]

    async def changed_at(self, study_id: str) -> dt.datetime | None:
        """Return the time of the study's last change; None while anything of it is pending."""
        try:
            pending, failures = await self._pending.of(study_id)
            record = await self._results.record(study_id)
        except StudyBeingDeletedError:
            return None
        if pending:
            return None
        if record is None and not failures:  # begun, and never stored: its gateway died
            return await self._results.image_at(study_id)
        failed = [failure.failed_at for failure in failures]
        return max([record.changed_at, *failed] if record is not None else failed)

    async def _summary(
        self, study_id: str
    ) -> StudySummary | tuple[str, UnreadableDocumentError] | None:
        try:
            state = await self._state(study_id)
            if state is None:
                return None
            # Only the readings say which images are meant by names that hold other bytes now.
            earlier = await self._results.earlier(state.record) if state.record.standing else None
        except UnreadableDocumentError as error:
            return study_id, error
        except StudyDeletedError:
            return None
        status = state.told(study_result(state.record)).status
        return study_summary(state.record, status, earlier)

    async def _state(self, study_id: str) -> _State | None:
        """Return what is known of a study; None of one that nobody was told of.

        Raises
        ------
        StudyDeletedError
            It is being deleted.
        """
        # In this order: what has been read since the first look is found by the second.
        pending, failures = await self._pending.of(study_id)
        try:
            record = await self._results.record(study_id)
        except StudyBeingDeletedError:
            raise StudyDeletedError from None
        if record is not None and record.images:
            return _State(record, pending, failures)
        if not pending and not failures:
            return None
        received = [item.received_at for item in pending]
        received += [item.received_at for item in failures]
        record = StudyRecord(study_id=study_id, received_at=min(received), changed_at=max(received))
        return _State(record, pending, failures)


@dataclass(frozen=True, slots=True)
class _State:
    """A study's record, with what is on its way and what failed."""

    record: StudyRecord
    pending: tuple[PendingSubmission, ...]
    failures: tuple[FailedSubmission, ...]

    def told(self, result: StudyResult) -> StudyResult:
        """Return the view of the record with the rest."""
        status = result.status if self.record.images else Status.FAILED
        return result.model_copy(
            update={
                "status": Status.PENDING if self.pending else status,
                "pending": self.pending or None,
                "failures": self.failures or None,
            }
        )
