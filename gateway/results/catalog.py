"""State of each known study: what is stored of it, and what is still on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.errors import StudyDeletedError, StudyNotFoundError, UnreadableDocumentError
from gateway.results.tombstone import Reason
from gateway.results.view import study_summary
from gateway.runtime.concurrency import together
from gateway.schemas.result import Status, StudyResult
from gateway.storage.layout import RESULTS

if TYPE_CHECKING:
    import datetime as dt

    from gateway.results.deletion import Deletion
    from gateway.results.store import ResultStore
    from gateway.schemas.result import FailedSubmission, PendingSubmission, StudySummary
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
        result = await self._known(study_id)
        if result is not None:
            return result
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
        """Return the time of the study's last addition; None while anything of it is pending."""
        result = await self._known(study_id)
        if result is None:  # begun, and never stored: its gateway died
            return await self._results.received_at(study_id)
        if result.pending:
            return None
        read = [image.completed_at for image in result.images]  # superseded ones too
        failed = [failure.failed_at for failure in result.failures or ()]
        return max([result.received_at, *read, *failed])

    async def _summary(
        self, study_id: str
    ) -> StudySummary | tuple[str, UnreadableDocumentError] | None:
        try:
            result = await self._known(study_id)
        except UnreadableDocumentError as error:
            return study_id, error
        return None if result is None else study_summary(result)

    async def _known(self, study_id: str) -> StudyResult | None:
        # In this order: what has been read since the first look is found by the second.
        pending, failures = await self._pending.of(study_id)
        try:
            stored = await self._results.result(study_id)
        except StudyNotFoundError:
            stored = None
        if stored is None and not pending and not failures:
            return None
        if stored is None:
            times = [item.received_at for item in pending]
            received = min(times + [item.received_at for item in failures])
            stored = StudyResult(study_id=study_id, status=Status.FAILED, received_at=received)
        return stored.model_copy(
            update={
                "status": Status.PENDING if pending else stored.status,
                "pending": pending or None,
                "failures": failures or None,
            }
        )
