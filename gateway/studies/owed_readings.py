"""Work that is promised for readings that models owe: its entry, before the document has it."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import StoreError
from gateway.work.documents import OwedReadings
from gateway.work.keys import WorkId, to_the_second

if TYPE_CHECKING:
    from gateway.work.entries import Entries

# A model that is being reloaded takes a few seconds.
_FIRST_ATTEMPT = dt.timedelta(seconds=2)


class ReadingPromises:
    """Promises to ask models again for readings that they owe.

    Parameters
    ----------
    entries
        Of the work; see `gateway.work.worker`.
    """

    def __init__(self, entries: Entries[OwedReadings]) -> None:
        self.entries = entries

    async def make(self, study_id: str) -> WorkId:
        """Return the work, whose entry is durable."""
        now = dt.datetime.now(dt.UTC)
        work = WorkId.new(study_id, now)
        await self.entries.add(work, OwedReadings(), due=_due(work))
        return work

    async def withdraw(self, work: WorkId) -> None:
        """Remove the entry of work that no document has."""
        with suppress(StoreError):  # a gateway that finds it asks the document
            await self.entries.remove(work, to_the_second(_due(work)))


def _due(work: WorkId) -> dt.datetime:
    return work.received_at + _FIRST_ATTEMPT
