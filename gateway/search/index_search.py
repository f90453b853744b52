"""Search of the index: a range of days, or the studies that an identifier leads to."""

from __future__ import annotations

import asyncio
import datetime as dt
from itertools import groupby
from typing import TYPE_CHECKING

from gateway.errors import StudyBeingDeletedError, UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.schemas.metadata import is_study_id
from gateway.search.days import DayIndex, DayObjects
from gateway.search.entries import entry_of
from gateway.search.query import DateRange, Position, SearchPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

    from gateway.results.study_documents import StudyDocuments
    from gateway.search.entries import IndexEntry
    from gateway.search.keys import Pointer
    from gateway.search.pointers import Pointers
    from gateway.search.query import StudyQuery

    _Found = IndexEntry | tuple[str, UnreadableDocumentError]

# Days, and documents, that are read side by side.
_DAYS_AT_ONCE = 4
# Of days: each takes up to a second of CPU for 50,000 entries, which studies wait for.
_SEARCHES_AT_ONCE = 2
_DOCUMENTS_AT_ONCE = 16


class IndexSearch:
    """Search on one store; see `StudySearch`.

    Parameters
    ----------
    days, pointers, documents
        The index, and what it was made of.
    """

    def __init__(self, days: DayIndex, pointers: Pointers, documents: StudyDocuments) -> None:
        self._days = days
        self._pointers = pointers
        self._documents = documents
        self._turns = asyncio.Semaphore(_SEARCHES_AT_ONCE)

    async def find(
        self, query: StudyQuery, *, limit: int, after: Position | None = None
    ) -> SearchPage:
        """See `StudySearch.find`."""
        searched = query.searched(dt.datetime.now(dt.UTC).date())
        if query.is_keyed:
            return await self._page(
                query, self._by_identifier(query, searched, after), searched, limit, after
            )
        async with self._turns:
            days = self._by_day(query, searched, after)
            return await self._page(query, days, searched, limit, after)

    async def _page(
        self,
        query: StudyQuery,
        days: AsyncIterator[Collection[_Found]],
        searched: DateRange | None,
        limit: int,
        after: Position | None,
    ) -> SearchPage:
        found: list[IndexEntry] = []
        unreadable: list[tuple[str, UnreadableDocumentError]] = []
        async for entries in days:
            unreadable += [entry for entry in entries if isinstance(entry, tuple)]
            whole = (entry for entry in entries if not isinstance(entry, tuple))
            taken = (entry for entry in whole if query.matches(entry))
            beyond = (entry for entry in taken if after is None or after.is_before(entry))
            found += sorted(beyond, key=lambda entry: entry.place, reverse=True)
            if len(found) > limit:
                break
        last = found[limit - 1] if len(found) > limit else None
        following = None if last is None else Position(last.received_at, last.study_id)
        return SearchPage(tuple(found[:limit]), searched, following, tuple(unreadable))

    async def _by_day(
        self, query: StudyQuery, searched: DateRange | None, after: Position | None
    ) -> AsyncIterator[Collection[_Found]]:
        """Yield the entries of each day that match, newest first."""
        if searched is None:
            return
        listed = await self._days.listed(searched)
        # Merged for the first time while they were listed, they are seen in no list.
        today = dt.datetime.now(dt.UTC).date()
        for day in (today, today - dt.timedelta(days=1)):
            if day in searched:
                listed.setdefault(day, DayObjects())
        newest = dt.date.max if after is None else _day_at(after.received_at)
        days = sorted((day for day in listed if day <= newest), reverse=True)
        for start in range(0, len(days), _DAYS_AT_ONCE):
            for entries in await together(
                self._days.entries(day, listed[day], query.matches)
                for day in days[start : start + _DAYS_AT_ONCE]
            ):
                yield entries

    async def _by_identifier(
        self, query: StudyQuery, searched: DateRange | None, after: Position | None
    ) -> AsyncIterator[list[_Found]]:
        """Yield what identifiers lead to, newest day first, made of the documents themselves."""
        if query.study_ids:
            named = query.study_ids
        else:
            pointers = await self._pointers.led_to(query)
            named = query.study_instance_uids
            if not named:
                newest = dt.date.max if after is None else _day_at(after.received_at)
                wanted = [each for each in pointers if each.day <= newest]
                for day, of_day in groupby(sorted(wanted, key=_day, reverse=True), _day):
                    if searched is None or day in searched:
                        yield await self._entries(pointer.study_id for pointer in of_day)
                return
            named += tuple(each.study_id for each in pointers if each.study_id not in named)
        found = await self._entries(filter(is_study_id, named))
        yield [
            entry
            for entry in found
            if isinstance(entry, tuple) or searched is None or entry.day in searched
        ]

    async def _entries(self, study_ids: Iterable[str]) -> list[_Found]:
        wanted = list(dict.fromkeys(study_ids))
        found: list[_Found] = []
        for start in range(0, len(wanted), _DOCUMENTS_AT_ONCE):
            some = wanted[start : start + _DOCUMENTS_AT_ONCE]
            entries = await together(self._entry(study_id) for study_id in some)
            found += [entry for entry in entries if entry is not None]
        return found

    async def _entry(self, study_id: str) -> _Found | None:
        try:
            record = (await self._documents.read(study_id)).open_record()
        except StudyBeingDeletedError:
            return None
        except UnreadableDocumentError as error:
            return study_id, error
        return None if record is None else entry_of(record)


def _day(pointer: Pointer) -> dt.date:
    return pointer.day


def _day_at(moment: dt.datetime) -> dt.date:
    return moment.astimezone(dt.UTC).date()
