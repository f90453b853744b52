"""Readings that models owe, in the documents of their studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import ParkedItemNotFoundError
from gateway.problems import URN
from gateway.work.states import Standing, WorkStates

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from gateway.results.documents import MissingReading, StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.schemas.parked import ParkedItem
    from gateway.schemas.problem import Problem
    from gateway.work.documents import WorkDocument
    from gateway.work.keys import WorkId


class MissingReadingStates(WorkStates):
    """States of the work that asks models again for readings that they owe.

    Parameters
    ----------
    documents
        Of the studies.
    """

    def __init__(self, documents: StudyDocuments) -> None:
        self._documents = documents

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """See `WorkStates.standing`."""
        seen = await self._documents.read(work.study_id)
        if seen.closing is not None:
            return Standing.DELETED
        owed = [] if seen.record is None else owed_by(seen.record, work)
        if any(not item.failed for item in owed):
            return Standing.PENDING
        if owed:
            return Standing.FAILED
        if not tried:
            return Standing.UNPROMISED
        return Standing.DELETED if seen.record is None else Standing.DONE

    async def postponed(
        self, work: WorkId, due: dt.datetime, attempts: int, problem: Problem
    ) -> None:
        """See `WorkStates.postponed`."""
        del due, attempts
        await self._change(work, {"problem": problem.type.removeprefix(URN)})

    async def failed(self, work: WorkId, document: WorkDocument | None, item: ParkedItem) -> None:
        """See `WorkStates.failed`."""
        del document
        await self._change(work, {"problem": item.problem.type.removeprefix(URN), "failed": True})

    async def revived(self, work: WorkId, due: dt.datetime) -> None:
        """See `WorkStates.revived`.

        Raises
        ------
        ParkedItemNotFoundError
            The readings are not owed any more.
        """
        del due
        if not owed_by(await self._change(work, {"failed": False}), work):
            raise ParkedItemNotFoundError

    async def discarded(self, work: WorkId) -> bool:
        """See `WorkStates.discarded`."""
        await self._change(work, {"work": None, "failed": False})
        return True

    async def _change(self, work: WorkId, news: dict[str, object]) -> StudyRecord:
        return await self._documents.change_known(work.study_id, _with(work, news))


def owed_by(record: StudyRecord, work: WorkId) -> list[MissingReading]:
    """Return the readings that this work asks for again."""
    return [item for item in record.missing_readings if item.work == work.id]


def _with(work: WorkId, news: dict[str, object]) -> Callable[[StudyRecord], StudyRecord]:
    def change(record: StudyRecord) -> StudyRecord:
        items = tuple(
            item.model_copy(update=news) if item.work == work.id else item
            for item in record.missing_readings
        )
        return (
            record if items == record.missing_readings else record.changed(missing_readings=items)
        )

    return change
