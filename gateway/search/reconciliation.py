"""Reconciliation of the index with the documents that it is made of.

Entries are written after the swap of a study's document, without a note beforehand: that would cost
each study a request more. What a gateway that is killed leaves unwritten is found here: by each
gateway when it starts, and by one of them each day. Ids are compared for all studies; documents are
read of those that have no entry, and of those received in the last days, which are the ones that
grow. `radstream verify --reindex` reads them all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from array import array
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar

import structlog
from pydantic import AwareDatetime, Field

from gateway.errors import (
    StudyBeingDeletedError,
    UnreadableDocumentError,
)
from gateway.runtime.concurrency import together
from gateway.runtime.periodic import repeat
from gateway.schemas.stored_document import StoredDocument
from gateway.search.entries import entry_of
from gateway.search.keys import RECONCILED_KEY, pointer_of
from gateway.storage.documents import read_or_renew, swap_document
from gateway.storage.layout import RESULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from gateway.results.study_documents import StudyDocuments
    from gateway.search.days import DayIndex
    from gateway.search.entries import IndexEntry
    from gateway.search.index_writer import IndexWriter
    from gateway.search.pointers import Pointers
    from gateway.storage.protocol import ObjectStore

T = TypeVar("T")

log = structlog.get_logger()

# Days of receipt whose documents are read.
_DAYS_AT_START = 2
_DAYS_DAILY = 8
_EVERY_S = 3600.0
_DAILY = dt.timedelta(hours=20)
# A folder store goes through all names of a folder for each page of them.
_PAGE = 10_000
_AT_ONCE = 16
# Written together; few enough for their documents to be no older than a deletion takes.
_BATCH = 128


class Verdict(StrEnum):
    """Result of the comparison of an entry with its document."""

    SAME = "same"
    MISSING = "missing"
    STALE = "stale"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study in the index and in its document.

    Parameters
    ----------
    entry
        As the document has it; None where there is no study.
    day
        Day of the index whose entry it was compared with; None where there was no entry.
    is_in_the_way
        True if the entry there is to be removed, as a right one would not count beside it.
    """

    verdict: Verdict
    study_id: str
    entry: IndexEntry | None
    day: dt.date | None = None
    is_in_the_way: bool = False


class Reconciled(StoredDocument):
    """Beginning of the last reconciliation."""

    schema_: Literal["radstream.index-reconciled/1"] = Field(
        "radstream.index-reconciled/1", alias="schema"
    )
    began_at: AwareDatetime


class Reconciliation:
    """Compares the index with the documents, and mends it.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    days, pointers, writer
        The index.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        days: DayIndex,
        pointers: Pointers,
        writer: IndexWriter,
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._days = days
        self._pointers = pointers
        self._writer = writer
        self._is_started = False

    async def repeat(self) -> NoReturn:
        """Mend the index now, and each day if no other gateway does."""
        await repeat(self.sweep, _EVERY_S, failed="search.not_reconciled")

    async def sweep(self) -> None:
        """Mend the index where that is due."""
        if await self._has_studies() and await self._is_claimed():
            days = _DAYS_DAILY if self._is_started else _DAYS_AT_START
            counts = await self.mend(recent_days=days)
            log.info("search.reconciled", **counts)
        self._is_started = True

    async def mend(self, *, recent_days: int | None) -> dict[str, int]:
        """Mend the index; return the number of studies by verdict.

        Parameters
        ----------
        recent_days
            Number of days of receipt whose documents are read; None reads all.
        """
        for day in await self._days.listed():  # what a gateway that died has not merged
            await self._days.merge(day)
        counts = dict.fromkeys((verdict.value for verdict in Verdict), 0)
        waiting: list[Comparison] = []
        async for found in self.comparisons(recent_days=recent_days):
            counts[found.verdict] += 1
            waiting.append(found)
            if len(waiting) == _BATCH:
                await self._mend(waiting)
                waiting = []
        await self._mend(waiting)
        await self._writer.merge()
        return counts

    async def _mend(self, found: Sequence[Comparison]) -> None:
        wrong: defaultdict[dt.date, set[str]] = defaultdict(set)
        for each in found:
            if each.day is not None and each.is_in_the_way:
                wrong[each.day].add(each.study_id)
        for day, study_ids in wrong.items():
            await self._days.remove(day, study_ids)
        fresh = [each.entry for each in found if each.entry and each.verdict is not Verdict.SAME]
        await self._writer.add(fresh)
        right = [each.entry for each in found if each.entry and each.verdict is Verdict.SAME]
        for entry in right:
            await self._pointers.add(await self._pointers.keys_of(entry))

    async def reindex(self) -> dict[str, int]:
        """Make the index anew of the documents; return the number of studies by verdict."""
        await self._pointers.mend_key()
        for day in await self._days.listed():
            await self._days.mend(day)
        counts = await self.mend(recent_days=None)
        async for keys in self.dangling():
            await self._pointers.remove(keys)
        return counts

    async def comparisons(self, *, recent_days: int | None) -> AsyncIterator[Comparison]:
        """Yield each study of which a document was read, with how its entry compares.

        Entries of old studies whose document is there are taken as they are.
        """
        there = await self._ids()
        indexed = _Ids()
        since = dt.date.min
        if recent_days is not None:
            since = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=recent_days - 1)
        for day in sorted(await self._days.listed()):
            listed = await self._days.of_day(day)
            entries = await self._days.entries(day, listed, lambda _: True)
            indexed.add(entry.study_id for entry in entries)
            doubtful = [entry for entry in entries if day >= since or entry.study_id not in there]
            for some in _batches(doubtful):
                documents = await together(self._entry(entry.study_id) for entry in some)
                for entry, found in zip(some, documents, strict=True):
                    if not isinstance(found, UnreadableDocumentError):
                        yield _compared(day, entry, found)
        async for names in self._names():
            missing = [name for name in names if name not in indexed]
            for some_names in _batches(missing):
                for found in await together(self._entry(name) for name in some_names):
                    if found is not None and not isinstance(found, UnreadableDocumentError):
                        yield Comparison(Verdict.MISSING, found.study_id, found)

    async def dangling(self) -> AsyncIterator[list[str]]:
        """Yield keys of pointers that no document accounts for."""
        keys_of = await self._pointers.keys_of_any()
        async for keys in self._pointers.listed():
            for some in _batches(keys):
                pointers = [pointer_of(key) for key in some]
                entries = await together(
                    self._entry(pointer.study_id if pointer else "") for pointer in pointers
                )
                wrong = [
                    key
                    for key, entry in zip(some, entries, strict=True)
                    if entry is None
                    or (
                        not isinstance(entry, UnreadableDocumentError) and key not in keys_of(entry)
                    )
                ]
                if wrong:
                    yield wrong

    async def _entry(self, study_id: str) -> IndexEntry | UnreadableDocumentError | None:
        """Return the entry of a study by its document; None where it has none to show."""
        if not study_id:
            return None
        try:
            record = (await self._documents.read(study_id)).open_record()
        except StudyBeingDeletedError:
            return None
        except UnreadableDocumentError as error:
            return error
        return None if record is None else entry_of(record)

    async def _ids(self) -> _Ids:
        ids = _Ids()
        async for names in self._names():
            ids.add(names)
        return ids

    async def _names(self) -> AsyncIterator[Sequence[str]]:
        after = ""
        while names := await self._objects.folders(RESULTS, after=after, limit=_PAGE):
            yield names
            after = names[-1]

    async def _has_studies(self) -> bool:
        return bool(await self._objects.folders(RESULTS, after="", limit=1))

    async def _is_claimed(self) -> bool:
        """Return True if the index is to be mended now, and by this gateway."""
        now = dt.datetime.now(dt.UTC)
        last, tag = await read_or_renew(self._objects, Reconciled, RECONCILED_KEY)
        if self._is_started and last is not None and now - last.began_at < _DAILY:
            return False
        new = Reconciled(began_at=now)
        return bool(await swap_document(self._objects, RECONCILED_KEY, new, tag))


class _Ids:
    """Ids of very many studies, eight bytes each."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._is_sorted = True

    def add(self, study_ids: Iterable[str]) -> None:
        self._hashes.extend(map(_hash, study_ids))
        self._is_sorted = False

    def __contains__(self, study_id: str) -> bool:
        if not self._is_sorted:
            self._hashes = array("Q", sorted(self._hashes))
            self._is_sorted = True
        wanted = _hash(study_id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def _hash(study_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(study_id.encode(), digest_size=8).digest())


def _compared(day: dt.date, entry: IndexEntry, found: IndexEntry | None) -> Comparison:
    if found is None:
        return Comparison(Verdict.GONE, entry.study_id, None, day, is_in_the_way=True)
    if found == entry:
        return Comparison(Verdict.SAME, entry.study_id, found, day)
    # As where an older version of the document was restored, or the study came again later.
    is_in_the_way = found.day != day or found.changed_at <= entry.changed_at
    return Comparison(Verdict.STALE, entry.study_id, found, day, is_in_the_way=is_in_the_way)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
