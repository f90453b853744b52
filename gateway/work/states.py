"""States of promised work, which the documents of its studies hold; see `gateway.work.worker`."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from gateway.schemas.parked import ParkedItem
    from gateway.schemas.problem import Problem
    from gateway.work.documents import WorkDocument
    from gateway.work.keys import WorkId


class Standing(Enum):
    """Standing of work that has an entry, as the document of its study says."""

    PENDING = auto()
    QUEUED = auto()  # it is to be done after other work that is pending
    FAILED = auto()
    UNPROMISED = auto()  # as is what failed and is not tried: it is to be pending soon
    DONE = auto()
    DELETED = auto()


class WorkStates:
    """States of work in the documents of its studies; of work that those do not list, none.

    The states of a kind whose work is listed override all of it.
    """

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """Return the standing of work; what was tried has been promised."""
        del work, tried
        return Standing.PENDING

    async def postponed(
        self, work: WorkId, due: dt.datetime, attempts: int, problem: Problem
    ) -> None:
        """Note the time of the next attempt."""

    async def failed(self, work: WorkId, document: WorkDocument | None, item: ParkedItem) -> None:
        """Note that the work failed for good; its document is None where it cannot be read."""

    async def revived(self, work: WorkId, due: dt.datetime) -> None:
        """Note that failed work is pending again."""

    async def discarded(self, work: WorkId) -> bool:
        """Drop the note of failed work; return False where the work did not fail."""
        del work
        return True
