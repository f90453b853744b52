"""State of each known study, as its document has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import (
    StudyBeingDeletedError,
    StudyDeletedError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.results.submissions import with_submissions
from gateway.results.tombstone import Reason
from gateway.results.view import study_result, study_summary
from gateway.runtime.concurrency import together
from gateway.storage.layout import RESULTS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from gateway.results.deletion import Deletion
    from gateway.results.documents import StudyRecord
    from gateway.results.store import ResultStore
    from gateway.schemas.result import StudyResult
    from gateway.schemas.study_list import StudySummary
    from gateway.storage.protocol import ObjectStore


class StudyCatalog:
    """The catalog of every study that was accepted, whatever became of it."""

    def __init__(
        self,
        objects: ObjectStore,
        *,
        results: ResultStore,
        deletion: Deletion,
    ) -> None:
        self._objects = objects
        self._results = results
        self._deletion = deletion

    async def result(self, study_id: str) -> StudyResult:
        """Return the study's current view, with its pending and its failed submissions.

        Raises
        ------
        StudyNotFoundError
        StudyDeletedError
            It was deleted before.
        """
        result, _ = await self.identified_result(study_id)
        return result

    async def identified_result(
        self, study_id: str
    ) -> tuple[StudyResult, Mapping[str, str | None]]:
        """Return the study's current view, and its identifying attributes; see `result`."""
        record = await self._record(study_id)
        if record is not None:
            result = study_result(record, await self._results.earlier(record), whole=True)
            return with_submissions(result, record), record.identity
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
        """Return ids of studies in the order of their keys, beyond `after`."""
        return list(await self._objects.folders(RESULTS, after=after, limit=limit))

    async def summaries(
        self, study_ids: list[str]
    ) -> list[StudySummary | tuple[str, UnreadableDocumentError]]:
        """Return a summary of each study; none of one that is only begun, or gone by now.

        Of a study whose documents cannot be read its id and the error stand in their place: the
        others are listed no less for it.
        """
        found = await together(self._summary(study_id) for study_id in study_ids)
        return [item for item in found if item is not None]

    async def changed_at(self, study_id: str) -> dt.datetime | None:
        """Return the time of the study's last change; None while anything of it is pending."""
        try:
            record = await self._results.record(study_id)
        except StudyBeingDeletedError:
            return None
        if record is None:  # begun, and never stored: its gateway died
            return await self._results.image_at(study_id)
        return None if record.pending else record.changed_at

    async def _summary(
        self, study_id: str
    ) -> StudySummary | tuple[str, UnreadableDocumentError] | None:
        try:
            record = await self._record(study_id)
            if record is None:
                return None
            # Only the readings say which images are meant by names that hold other bytes now.
            earlier = await self._results.earlier(record) if record.standing else None
        except UnreadableDocumentError as error:
            return study_id, error
        except StudyDeletedError:
            return None
        return study_summary(record, study_result(record).status, earlier)

    async def _record(self, study_id: str) -> StudyRecord | None:
        """Return what is known of a study; None of one that was never answered.

        Raises
        ------
        StudyDeletedError
            It is being deleted.
        """
        try:
            record = await self._results.record(study_id)
        except StudyBeingDeletedError:
            raise StudyDeletedError from None
        if record is None or not (record.images or record.pending or record.failed):
            return None
        return record
