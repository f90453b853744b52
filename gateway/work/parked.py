"""Parked items: work that failed for good, kept for the operator in ``parked/{id}.json``.

The id is made of the object's key: an object that fails again is parked once, and an object that
is taken after all can be found and cleared. Of other work it is made of the work's key.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import ParkedItemNotFoundError, UnreadableDocumentError
from gateway.observability.pseudonyms import key_reference
from gateway.runtime.concurrency import together
from gateway.schemas.parked import ParkedItem
from gateway.storage.documents import read_or_none, replace_document
from gateway.storage.layout import PARKED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.errors import RadStreamError
    from gateway.schemas.parked import Half
    from gateway.schemas.problem import Problem
    from gateway.storage.protocol import ObjectStore

_PAIR_DIGITS = 16


class DroppedObject(Protocol):
    """An object of the drop folder, as its parked item is named."""

    @property
    def key(self) -> str:
        """Return its key there."""
        ...

    @property
    def half(self) -> Half:
        """Return what it is."""
        ...

    @property
    def reference(self) -> str:
        """Return what stands for its name."""
        ...

    @property
    def pair_reference(self) -> str:
        """Return what stands for the names of an image and its sidecar."""
        ...


@dataclass(frozen=True, slots=True)
class ParkedSince:
    """A parked item, as far as it is counted.

    Parameters
    ----------
    parked_at, key
        See `ParkedItem`.
    """

    parked_at: dt.datetime
    key: str


class Parking:
    """Parked items of all gateways on one store.

    Parameters
    ----------
    objects
        The store.
    problem_of
        Says what an error means to the sender.
    """

    def __init__(
        self, objects: ObjectStore, problem_of: Callable[[RadStreamError], Problem]
    ) -> None:
        self._objects = objects
        self._problem_of = problem_of

    async def park(
        self,
        dropped: DroppedObject,
        version_id: str | None,
        error: RadStreamError,
        *,
        study_id: str | None = None,
        sha256: str | None = None,
    ) -> ParkedItem:
        """Return the item as it is parked now, in place of an older one of the same object.

        Parameters
        ----------
        study_id
            Study of the object, as far as it was known when it failed.
        sha256
            Of an image whose bytes could be read.
        """
        return await self._keep(
            _id(dropped),
            error,
            half=dropped.half,
            key=dropped.key,
            version_id=version_id,
            study_id=study_id,
            sha256=sha256,
        )

    async def park_work(self, key: str, error: RadStreamError) -> ParkedItem:
        """Return the parked item of a piece of work that is no object of the drop folder."""
        return await self._keep(_work_id(key), error, key=key)

    async def _keep(
        self,
        parked_id: str,
        error: RadStreamError,
        *,
        key: str,
        half: Half | None = None,
        version_id: str | None = None,
        study_id: str | None = None,
        sha256: str | None = None,
    ) -> ParkedItem:
        problem = self._problem_of(error).model_copy(
            update={"instance": f"urn:radstream:parked:{parked_id}"}
        )
        item = ParkedItem(
            id=parked_id,
            parked_at=dt.datetime.now(dt.UTC),
            half=half,
            key=key,
            version_id=version_id,
            study_id=study_id,
            sha256=sha256,
            problem=problem,
        )
        before = await self._read_one(item_key(parked_id))
        if before is not None and before == item.model_copy(update={"parked_at": before.parked_at}):
            return before  # tried again, and no other than it was
        await replace_document(self._objects, item_key(parked_id), item)
        return item

    async def clear(
        self, *taken: DroppedObject, first: Callable[[ParkedItem], Awaitable[None]] | None = None
    ) -> None:
        """Remove the items of objects of one pair that were taken after all.

        Parameters
        ----------
        first
            Called with each of them that can be read before any goes.
        """
        keys = {item_key(_id(dropped)) for dropped in taken}
        listed = await self._objects.keys(PARKED + _pair(taken[0]))
        there = [key for key in listed if key in keys]
        if first is not None:
            for item in await together(self._read_one(key) for key in there):
                if item is not None:
                    await first(item)
        await together(self._objects.delete(key) for key in there)

    async def of(self, dropped: DroppedObject) -> ParkedItem | None:
        """Return the object's item; None where there is none that can be read."""
        return await self._read_one(item_key(_id(dropped)))

    async def clear_work(self, key: str) -> None:
        """Remove the item of a piece of work that was done after all."""
        await self._objects.delete(work_item_key(key))

    async def items(self, *, after: str, limit: int | None) -> list[ParkedItem]:
        """Return the items in the order of their ids, beyond `after`; all without a limit."""
        keys = [key for key in await self._objects.keys(PARKED) if key > item_key(after)]
        limit = len(keys) if limit is None else limit
        items: list[ParkedItem] = []
        while keys and len(items) < limit:
            page, keys = keys[: limit - len(items)], keys[limit - len(items) :]
            found = await together(self._read_one(key) for key in page)
            items += [item for item in found if item is not None]
        return items

    def key(self, item: ParkedItem) -> str:
        """Return the item's own key in the store."""
        return item_key(item.id)

    async def seen(self, known: Mapping[str, ParkedSince | None]) -> dict[str, ParkedSince | None]:
        """Return what each item is of, by key; those that are known are not read again."""
        keys = await self._objects.keys(PARKED)
        seen = {key: known[key] for key in keys if known.get(key) is not None}
        new = [key for key in keys if key not in seen]
        found = await together(self._read_one(key) for key in new)
        for key, item in zip(new, found, strict=True):
            seen[key] = None if item is None else ParkedSince(item.parked_at, item.key)
        return seen

    async def item(self, parked_id: str) -> ParkedItem:
        """Return the item of this id.

        Raises
        ------
        ParkedItemNotFoundError
        """
        item = await read_or_none(self._objects, ParkedItem, item_key(parked_id))
        if item is None:
            raise ParkedItemNotFoundError
        return item

    async def discard(self, parked_id: str) -> None:
        """Remove the item of this id, though it be unreadable.

        Raises
        ------
        ParkedItemNotFoundError
        """
        with suppress(UnreadableDocumentError):
            await self.item(parked_id)
        await self._objects.delete(item_key(parked_id))

    async def _read_one(self, key: str) -> ParkedItem | None:
        """Return one item of many; None where it cannot be read, to list the others without it."""
        try:
            return await read_or_none(self._objects, ParkedItem, key)
        except UnreadableDocumentError:
            return None


class ParkedCount:
    """The count of parked items and of their ages, taken at intervals.

    Parameters
    ----------
    parking
        The items.
    tell
        Told when each was parked; None for one that cannot be read.
    tell_keys
        Told what each is of that can be read; see `ParkedItem.key`.
    """

    def __init__(
        self,
        parking: Parking,
        tell: Callable[[Sequence[dt.datetime | None]], None],
        tell_keys: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self._parking = parking
        self._tell = tell
        self._tell_keys = tell_keys
        self._known: dict[str, ParkedSince | None] = {}

    async def sweep(self) -> None:
        """Count them. Each is read once: while it is parked, it only grows older."""
        self._known = await self._parking.seen(self._known)
        items = self._known.values()
        self._tell([None if item is None else item.parked_at for item in items])
        self._tell_keys([item.key for item in items if item is not None])


def work_item_key(key: str) -> str:
    """Return the key of the parked item of work that has this key."""
    return item_key(_work_id(key))


def pair_beginning(parked_id: str) -> str:
    """Return the beginning that the reference of a parked object's pair has."""
    return parked_id[:_PAIR_DIGITS]


def _work_id(key: str) -> str:
    """Return the id of the item of such work."""
    return key_reference(key)


def _id(dropped: DroppedObject) -> str:
    return _pair(dropped) + dropped.reference[:16]


def _pair(dropped: DroppedObject) -> str:
    """Return the beginning that the ids of an image and its sidecar share."""
    return pair_beginning(dropped.pair_reference)


def item_key(parked_id: str) -> str:
    """Return the key of a parked item."""
    return f"{PARKED}{parked_id}.json"
