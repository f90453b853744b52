"""Removal of deleted studies from the index."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from gateway.results.tombstone import Indexed
from gateway.search.entries import entry_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from gateway.results.documents import StudyRecord
    from gateway.search.changed_studies import ChangedStudies
    from gateway.search.days import DayIndex
    from gateway.search.pointers import Pointers

    Waiting = list[tuple[str, Indexed | None, asyncio.Future[None]]]


class EntryRemoval:
    """The removal of entries and pointers, at one go for studies that are deleted together.

    Parameters
    ----------
    days, pointers
        The index.
    changed
        Told that there is something to do.
    """

    def __init__(self, days: DayIndex, pointers: Pointers, changed: ChangedStudies) -> None:
        self._days = days
        self._pointers = pointers
        self._changed = changed
        self._put_off: dict[str, Indexed | None] = {}
        self._waiting: Waiting = []
        self._remover: asyncio.Task[None] | None = None

    async def placing(self) -> Callable[[StudyRecord], Indexed | None]:
        """Return the function that tells the place of a study's entries."""
        pointers = await self._pointers.keys_of_any()

        def place(record: StudyRecord) -> Indexed | None:
            entry = entry_of(record)
            if entry is None:
                return None
            return Indexed(day=entry.day, pointers=pointers(entry))

        return place

    def forget(self, study_id: str, place: Indexed | None) -> None:
        """Have a study's entries removed with what is written next; see `catch_up`."""
        self._put_off[study_id] = place
        self._changed.wake()

    async def catch_up(self) -> None:
        """Remove what was put off."""
        put_off, self._put_off = self._put_off, {}
        try:
            await self._remove(put_off)
        except BaseException:
            self._put_off = put_off | self._put_off
            raise

    async def remove(self, study_id: str, place: Indexed | None) -> None:
        """Remove a study's entries by the time this returns, together with others'."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((study_id, place, ended))
        if self._remover is None or self._remover.done():
            self._remover = asyncio.create_task(self._remove_waiting())
        await ended

    async def _remove_waiting(self) -> None:
        await asyncio.sleep(0)  # so that those of one turn of the loop go together
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                await self._remove({study_id: place for study_id, place, _ in taken})
            except Exception as error:  # noqa: BLE001 - told to each whose study it was
                for _, _, ended in taken:
                    if not ended.done():
                        ended.set_exception(error)
            else:
                for _, _, ended in taken:
                    if not ended.done():
                        ended.set_result(None)

    async def _remove(self, places: Mapping[str, Indexed | None]) -> None:
        by_day: defaultdict[dt.date, set[str]] = defaultdict(set)
        lost = {study_id for study_id, place in places.items() if place is None}
        for day in await self._days.listed() if lost else ():
            by_day[day] |= lost
        for study_id, place in places.items():
            if place is not None:
                by_day[place.day].add(study_id)
        for day, study_ids in by_day.items():
            await self._days.remove(day, study_ids)
        known = (place for place in places.values() if place is not None)
        await self._pointers.remove([key for place in known for key in place.pointers])
