"""The index, day by day: adding, merging, reading and removing entries.

See the package for why nothing is lost or listed twice.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.search.day_file import MEDIA_TYPE, DayFile, merged, off_loop, read_day_file
from gateway.search.keys import day_folder, new_key, part_key, place_of, prefixes

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Sequence

    from gateway.search.entries import IndexEntry
    from gateway.search.query import DateRange
    from gateway.storage.protocol import ObjectStore

    Latest = dict[str, tuple[dt.datetime, IndexEntry | None]]

# Of a part: it is swapped whole for each merge.
_PART_ENTRIES = 5000
_PARTS_AT_ONCE = 4


@dataclass(slots=True)
class DayObjects:
    """Objects of a day, as they were listed.

    Parameters
    ----------
    new
        Keys of the new ones.
    parts
        Number of the merged ones.
    """

    new: list[str] = field(default_factory=list)
    parts: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """A merged object as it was read; its tag is None where there is none."""

    number: int
    file: DayFile
    tag: str | None


@dataclass(frozen=True, slots=True)
class _Merge:
    """A merge: the part it was into, the studies that were new, and whether its swap was won."""

    part: int
    new: frozenset[str]
    is_done: bool


class DayIndex:
    """Entries of all studies on one store, by the day the study was received on.

    Parameters
    ----------
    objects
        The store.
    part_entries
        Number of entries that make a merged object full.
    """

    def __init__(self, objects: ObjectStore, *, part_entries: int = _PART_ENTRIES) -> None:
        self._objects = objects
        self._part_entries = part_entries

    async def add(self, entries: Iterable[IndexEntry]) -> None:
        """Write entries: one new object for each day."""
        by_day: defaultdict[dt.date, list[IndexEntry]] = defaultdict(list)
        for entry in entries:
            by_day[entry.day].append(entry)
        await together(self._add(day, of_day) for day, of_day in by_day.items())

    async def _add(self, day: dt.date, entries: list[IndexEntry]) -> None:
        data = await off_loop(len(entries), DayFile(merged(entries)).data)
        await self._objects.create(new_key(day, data), data, media_type=MEDIA_TYPE)

    async def listed(self, days: DateRange | None = None) -> dict[dt.date, DayObjects]:
        """Return the days of which there are entries, with their objects."""
        listed = await together(self._objects.keys(prefix) for prefix in prefixes(days))
        found = _by_day(key for keys in listed for key in keys)
        return {day: objects for day, objects in found.items() if days is None or day in days}

    async def entries(
        self, day: dt.date, listed: DayObjects, matches: Callable[[IndexEntry], bool]
    ) -> list[IndexEntry]:
        """Return the entries of a day that match, each study once.

        Raises
        ------
        UnreadableDocumentError
        """
        latest: Latest = {}
        files = await together(self._new(key) for key in listed.new)
        await _taken(latest, [file for file in files if file], matches)
        number, is_open = 0, True
        while number < listed.parts or is_open:  # one that is full may have been followed
            at_once = max(1, min(_PARTS_AT_ONCE, listed.parts - number))
            parts = await together(self._part(day, number + each) for each in range(at_once))
            await _taken(latest, [part.file for part in parts], matches)
            number += at_once
            is_open = parts[-1].file.is_full
        return [entry for _, entry in latest.values() if entry is not None]

    async def merge(self, day: dt.date) -> None:
        """Merge a day's new entries, unless another gateway does."""
        listed = await self.of_day(day)
        if listed.new:
            await self._merge(day, listed)

    async def remove(self, day: dt.date, study_ids: Collection[str]) -> None:
        """Remove studies from a day, older versions of its objects included.

        An entry that a gateway writes meanwhile is removed by doing it again.
        """
        while True:
            listed = await self.of_day(day)
            if not listed.new and not listed.parts:
                break
            merge = await self._merge(day, listed, without=study_ids)
            # Whoever has read a new object before it was removed may merge it yet. A further swap
            # is in the way of that: a merge reads the part before it reads what is new.
            if merge.is_done and merge.new.isdisjoint(study_ids):
                for number in range(merge.part + 1):
                    await self._remove_from_part(day, number, study_ids)
                break
        await self._objects.purge(day_folder(day), past_only=True)

    async def check(self, key: str) -> None:
        """Raise an error if an object of the index is damaged.

        Raises
        ------
        UnreadableDocumentError
        """
        await self._new(key)

    async def mend(self, day: dt.date) -> None:
        """Empty the damaged objects of a day; their studies are to be added anew."""
        listed = await self.of_day(day)
        for key in listed.new:
            try:
                await self._new(key)
            except UnreadableDocumentError:
                await self._objects.delete(key)
        for number in range(listed.parts):
            try:
                await self._part(day, number)
            except UnreadableDocumentError:
                stored = await self._objects.read_tagged(part_key(day, number))
                # A revision that no state before has had.
                empty = _Part(number, DayFile(revision=secrets.randbits(48)), stored.tag)
                await self._swap(day, empty, (), ())

    async def _remove_from_part(
        self, day: dt.date, number: int, study_ids: Collection[str]
    ) -> None:
        while True:
            part = await self._part(day, number)
            if part.file.entries.keys().isdisjoint(study_ids):
                return
            if await self._swap(day, part, (), study_ids):
                return

    async def _merge(
        self, day: dt.date, listed: DayObjects, *, without: Collection[str] = ()
    ) -> _Merge:
        """Merge new objects into the last part, but for some studies, and remove these objects."""
        part = await self._last_part(day, listed)
        files = await together(self._new(key) for key in listed.new)
        new = {key: file for key, file in zip(listed.new, files, strict=True) if file is not None}
        is_done = await self._swap(day, part, new.values(), without)
        if is_done:
            await together(self._objects.delete(key) for key in new)
        return _Merge(
            part.number, frozenset().union(*(each.entries for each in new.values())), is_done
        )

    async def _swap(
        self, day: dt.date, part: _Part, new: Iterable[DayFile], without: Collection[str]
    ) -> bool:
        """Swap a part for its union with new objects; return False if it is lost."""
        entries = merged(*(file.entries.values() for file in (part.file, *new)))
        left = {name: entry for name, entry in entries.items() if name not in without}
        is_full = part.file.is_full or len(left) >= self._part_entries
        file = DayFile(left, part.file.revision + 1, is_full=is_full)
        data = await off_loop(len(left), file.data)
        key = part_key(day, part.number)
        return bool(await self._objects.swap(key, data, tag=part.tag, media_type=MEDIA_TYPE))

    async def of_day(self, day: dt.date) -> DayObjects:
        """Return the objects of a day."""
        return _by_day(await self._objects.keys(day_folder(day))).get(day, DayObjects())

    async def _last_part(self, day: dt.date, listed: DayObjects) -> _Part:
        """Return the part that takes new entries: the first that is not full."""
        for number in count(max(0, listed.parts - 1)):
            part = await self._part(day, number)
            if not part.file.is_full:
                return part
        raise AssertionError  # pragma: no cover - the numbers have no end

    async def _part(self, day: dt.date, number: int) -> _Part:
        key = part_key(day, number)
        try:
            stored = await self._objects.read_tagged(key)
        except ObjectNotFoundError:
            return _Part(number, DayFile(), None)
        return _Part(number, await read_day_file(key, stored.data), stored.tag)

    async def _new(self, key: str) -> DayFile | None:
        """Return what an object has; None where it was merged since it was listed."""
        try:
            data = await self._objects.read(key)
        except ObjectNotFoundError:
            return None
        return await read_day_file(key, data)


def _by_day(keys: Iterable[str]) -> dict[dt.date, DayObjects]:
    found: defaultdict[dt.date, DayObjects] = defaultdict(DayObjects)
    for key in keys:
        place = place_of(key)
        if place is None:
            continue
        if place.part is None:
            found[place.day].new.append(key)
        else:
            found[place.day].parts = max(found[place.day].parts, place.part + 1)
    return found


async def _taken(
    latest: Latest, files: Sequence[DayFile], matches: Callable[[IndexEntry], bool]
) -> None:
    entries = sum(len(file.entries) for file in files)
    await off_loop(entries, partial(_take, latest, files, matches))


def _take(latest: Latest, files: Iterable[DayFile], matches: Callable[[IndexEntry], bool]) -> None:
    """Take the entries of these files that are the latest of their study so far.

    Of one that does not match only the time is kept: it may be that an older one does.
    """
    for file in files:
        for entry in file.entries.values():
            known = latest.get(entry.study_id)
            if known is None or known[0] <= entry.changed_at:
                latest[entry.study_id] = entry.changed_at, entry if matches(entry) else None
