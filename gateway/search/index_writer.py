"""Writing of entries, after the swap of a study's document and beside the requests."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.errors import (
    RadStreamError,
    StudyBeingDeletedError,
    UnreadableDocumentError,
    log_fields,
)
from gateway.results.tombstone import Indexed
from gateway.runtime.concurrency import together
from gateway.search.entries import entry_of, has_images

if TYPE_CHECKING:
    from gateway.results.documents import StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.search.changed_studies import ChangedStudies
    from gateway.search.days import DayIndex
    from gateway.search.entries import IndexEntry
    from gateway.search.entry_removal import EntryRemoval
    from gateway.search.pointers import Pointers

log = structlog.get_logger()

# Of one study and of several: what changes meanwhile is written together.
_LINGER_S = 2.0
# A day is merged after so many objects of this gateway's, or so long after the first of them.
_MERGE_OBJECTS = 16
_MERGE_S = 30.0
# A document that changed longer ago may have been deleted since by another gateway.
_TRUSTED_S = 10.0
_AT_ONCE = 16
# A pointer is not written again for so long: a study_id is taken again no sooner after a deletion.
_POINTED_S = 30.0


class IndexWriter:
    """The writer of entries, for the studies that this gateway changes.

    Parameters
    ----------
    changed, documents
        The studies, and what they are made of.
    days, pointers
        The index.
    removal
        Removes entries; what it has put off is done with the next that are written.
    """

    def __init__(
        self,
        changed: ChangedStudies,
        documents: StudyDocuments,
        days: DayIndex,
        pointers: Pointers,
        removal: EntryRemoval,
    ) -> None:
        self._changed = changed
        self._documents = documents
        self._days = days
        self._pointers = pointers
        self._removal = removal
        self._pointed: dict[str, float] = {}  # keys that were written, and when
        self._unmerged: Counter[dt.date] = Counter()
        self._merge_at = 0.0

    async def run(self) -> NoReturn:
        """Write entries as studies change, until cancelled."""
        while True:
            await self._wait()
            await asyncio.sleep(_LINGER_S)
            try:
                await self.write()
                await self._merge_due()
            except RadStreamError as error:  # tried again, with what changes until then
                log.warning("search.index_not_written", **log_fields(error))

    async def close(self) -> None:
        """Write what is left; a store that does not answer is told in the log."""
        try:
            await self.write()
        except RadStreamError as error:
            log.warning("search.index_not_written", **log_fields(error))

    async def write(self) -> None:
        """Write the entries of all studies that have changed, and remove those of deleted ones."""
        await self._removal.catch_up()
        taken = self._changed.take()
        try:
            records = await self._records(taken)
            entries = [(record, entry_of(record)) for record in records]
            await self.add([entry for _, entry in entries if entry is not None])
            for record, entry in entries:
                received_at = record.received_at
                if entry is None and not has_images(record) and received_at is not None:
                    day = received_at.astimezone(dt.UTC).date()  # its last image was discarded
                    self._removal.forget(record.study_id, Indexed(day=day))
        except BaseException:
            for study_id, since in taken.items():
                self._changed.note(study_id, since)
            raise

    async def add(self, entries: list[IndexEntry]) -> None:
        """Write these entries, with their pointers."""
        if not entries:
            return
        now = time.monotonic()
        self._pointed = {k: at for k, at in self._pointed.items() if now - at < _POINTED_S}
        keys = [key for entry in entries for key in await self._pointers.keys_of(entry)]
        new = [key for key in dict.fromkeys(keys) if key not in self._pointed]
        await self._pointers.add(new)
        await self._days.add(entries)
        self._pointed |= dict.fromkeys(new, now)
        if not self._unmerged:
            self._merge_at = time.monotonic() + _MERGE_S
        self._unmerged.update({entry.day for entry in entries})

    async def merge(self) -> None:
        """Merge the days that this gateway has written to."""
        for day in list(self._unmerged):
            await self._days.merge(day)
            self._unmerged.pop(day, None)

    async def _merge_due(self) -> None:
        busiest = max(self._unmerged.values(), default=0)
        if busiest >= _MERGE_OBJECTS or (busiest and time.monotonic() >= self._merge_at):
            await self.merge()

    async def _wait(self) -> None:
        """Wait until a study has changed, or a merge is due."""
        if not self._unmerged:
            await self._changed.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, self._merge_at - time.monotonic())):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _records(self, taken: dict[str, float]) -> list[StudyRecord]:
        records: list[StudyRecord | None] = []
        wanted = list(taken.items())
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            records += await together(self._record(*each) for each in some)
        return [record for record in records if record is not None]

    async def _record(self, study_id: str, since: float) -> StudyRecord | None:
        seen = self._documents.remembered(study_id)
        if seen is None or time.monotonic() - since > _TRUSTED_S:
            try:
                seen = await self._documents.read(study_id)
            except UnreadableDocumentError:  # logged
                return None
        try:
            return seen.open_record()
        except StudyBeingDeletedError:
            return None
