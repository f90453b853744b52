"""Halves of studies that wait for the other: ``pairing/waiting/{pair}/{object}-{version}.json``."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

from gateway.dropfolder.documents import WaitingHalf
from gateway.errors import UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import WAITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dropfolder.objects import Dropped
    from gateway.storage.protocol import ObjectStore


class WaitingHalves:
    """Halves that wait for the other one, and since when."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def add(self, dropped: Dropped, version_id: str | None) -> None:
        """Note that the half waits, since now unless it is noted already."""
        half = WaitingHalf(key=dropped.key, version_id=version_id, since=dt.datetime.now(dt.UTC))
        await create_document(self._objects, _key(dropped, version_id), half)

    async def beside(self, dropped: Dropped) -> list[WaitingHalf]:
        """Return the waiting halves of the pair that the object belongs to."""
        return await self._load(await self._objects.keys(f"{WAITING}{dropped.pair_reference}/"))

    async def all(self) -> list[WaitingHalf]:
        """Everything that waits."""
        return [half for _, half in await self.by_key()]

    async def by_key(self) -> list[tuple[str, WaitingHalf]]:
        """Everything that waits, with the key of the note that it does."""
        keys = await self._objects.keys(WAITING)
        found = await together(self._read(key) for key in keys)
        return [(key, half) for key, half in zip(keys, found, strict=True) if half is not None]

    async def remove(self, *halves: tuple[Dropped, str | None]) -> None:
        """Note of halves of one pair, each with its version, that they wait no longer."""
        keys = {_key(dropped, version_id) for dropped, version_id in halves}
        listed = await self._objects.keys(f"{WAITING}{halves[0][0].pair_reference}/")
        # Only what is there: a versioned bucket would remember the deletion of what never was.
        await together(self._objects.delete(key) for key in listed if key in keys)

    async def _load(self, keys: Sequence[str]) -> list[WaitingHalf]:
        found = await together(self._read(key) for key in keys)
        return [half for half in found if half is not None]

    async def _read(self, key: str) -> WaitingHalf | None:
        try:
            return await read_or_none(self._objects, WaitingHalf, key)
        except UnreadableDocumentError:  # the others wait no less for it
            return None


def _key(dropped: Dropped, version_id: str | None) -> str:
    version = hashlib.sha256((version_id or "").encode()).hexdigest()[:16]
    return f"{WAITING}{dropped.pair_reference}/{dropped.reference}-{version}.json"
