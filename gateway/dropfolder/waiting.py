"""Notes of halves that wait, and marks of what is parked: ``pairing/waiting/{pair}/``.

A half that waits has ``{object}-{version}.json`` there, and a parked object, beside its item,
``{object}-parked.json``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

from gateway.dropfolder.documents import WaitingHalf
from gateway.errors import UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.storage.documents import (
    create_document,
    read_or_none,
    read_or_renew,
    swap_document,
)
from gateway.storage.layout import WAITING
from gateway.work.parked import pair_beginning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.dropfolder.objects import Dropped
    from gateway.storage.protocol import ObjectStore

    Version = tuple[Dropped, str | None]

_MARK = "-parked.json"


class WaitingHalves:
    """Halves that wait for the other one, each since its first note."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def add(
        self, dropped: Dropped, version_id: str | None, *, needs_other: bool = False
    ) -> None:
        """Note that the half waits, since now unless it is noted already.

        Parameters
        ----------
        needs_other
            See `WaitingHalf`.
        """
        key = _key(dropped, version_id)
        is_new = await self._create(key, dropped, version_id, needs_other=needs_other)
        if needs_other and not is_new:
            await self.note_looked_at(dropped, version_id)

    async def note_looked_at(self, dropped: Dropped, version_id: str | None) -> None:
        """Note of a half that waits that it needs its other one; it waits since when it did."""
        key = _key(dropped, version_id)
        half, tag = await read_or_renew(self._objects, WaitingHalf, key)
        if half is not None and not half.needs_other:
            # What has ceased to wait meanwhile is not to wait again.
            renewed = half.model_copy(update={"needs_other": True})
            await swap_document(self._objects, key, renewed, tag)

    async def mark_parked(self, dropped: Dropped) -> None:
        """Mark the object as parked."""
        await self._create(_mark(dropped), dropped, None)

    async def unmark(self, dropped: Dropped) -> None:
        """Remove the mark of an object that is parked no more."""
        await self.forget(await self.listed(dropped), (), [dropped])

    async def listed(self, dropped: Dropped) -> Sequence[str]:
        """Return the keys of all notes and marks of the pair that the object belongs to."""
        return await self._objects.keys(f"{WAITING}{dropped.pair_reference}/")

    def is_marked(self, dropped: Dropped, listed: Sequence[str]) -> bool:
        """Return True if the object is parked, by what was listed of its pair."""
        return _mark(dropped) in listed

    async def all(self) -> list[WaitingHalf]:
        """Return all halves that wait."""
        return await self.read(await self._objects.keys(WAITING))

    async def by_key(self) -> list[tuple[str, WaitingHalf]]:
        """Return all notes and marks, each with its key."""
        keys = await self._objects.keys(WAITING)
        found = await together(self._read(key) for key in keys)
        return [(key, half) for key, half in zip(keys, found, strict=True) if half is not None]

    async def read(self, listed: Iterable[str]) -> list[WaitingHalf]:
        """Return the halves that wait, of those that were listed."""
        found = await together(self._read(key) for key in listed if not key.endswith(_MARK))
        return [half for half in found if half is not None]

    async def remove(self, *halves: Version) -> None:
        """Note of halves of one pair that they wait no longer."""
        await self.forget(await self.listed(halves[0][0]), halves)

    async def forget(
        self, listed: Iterable[str], halves: Iterable[Version], marked: Iterable[Dropped] = ()
    ) -> None:
        """Remove the notes and marks of these, as far as they were listed.

        A versioned bucket would remember the deletion of what never was.
        """
        keys = {_key(*half) for half in halves} | set(map(_mark, marked))
        await together(self._objects.delete(key) for key in listed if key in keys)

    async def _create(
        self, key: str, dropped: Dropped, version_id: str | None, *, needs_other: bool = False
    ) -> bool:
        half = WaitingHalf(
            key=dropped.key,
            version_id=version_id,
            since=dt.datetime.now(dt.UTC),
            needs_other=needs_other,
        )
        return await create_document(self._objects, key, half)

    async def _read(self, key: str) -> WaitingHalf | None:
        try:
            return await read_or_none(self._objects, WaitingHalf, key)
        except UnreadableDocumentError:  # the others wait no less for it
            return None


def _key(dropped: Dropped, version_id: str | None) -> str:
    version = hashlib.sha256((version_id or "").encode()).hexdigest()[:16]
    return f"{WAITING}{dropped.pair_reference}/{dropped.reference}-{version}.json"


def is_mark_of(key: str, parked_id: str) -> bool:
    """Return True for the key of a parked item's mark."""
    object_beginning = parked_id.removeprefix(pair_beginning(parked_id))
    return key.endswith(_MARK) and key.rpartition("/")[2].startswith(object_beginning)


def _mark(dropped: Dropped) -> str:
    return f"{WAITING}{dropped.pair_reference}/{dropped.reference}{_MARK}"
