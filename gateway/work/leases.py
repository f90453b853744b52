"""Leases on pieces of work, in the object store, by conditional create.

A lease is an object ``{root}{work}/{generation}.json`` with an owner and an expiry. The newest
generation counts. Whoever finds none creates the first; whoever finds one that has expired creates
the next; only one can. Its owner deletes it, and those before it, when the work is done.

Where it can be told that the owner runs no longer, its leases are over at once.

A lease saves doing work twice and nothing else hangs on it: a reading joins its study once whoever
comes (see `gateway.results.store`). It is therefore enough that a lease outlives the deadline
of its owner's work by more than the clocks of two replicas differ.

Not a library of leases, such as those for Redis, etcd or DynamoDB: each needs a server beside the
store.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from gateway.errors import (
    DeliveryUnfinishedError,
    StoreError,
    UnreadableDocumentError,
)
from gateway.runtime.concurrency import to_its_end
from gateway.storage.documents import create_document, read_or_none
from gateway.work.documents import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.storage.protocol import ObjectStore

# A lease outlives its work's deadline by more than the clocks of two gateways differ.
CLOCK_SKEW_S = 10.0
# Leases of others that are remembered before those that ended are forgotten.
_MOST_MET = 10_000


class Presence(Protocol):
    """Tells which gateways run.

    Attributes
    ----------
    name : str
        Of this one; of letters and digits.
    """

    name: str

    def has_ended(self, name: str) -> bool:
        """Return True if the gateway of this name is known to run no longer."""
        ...


class Leases:
    """Leases of all gateways on one store.

    Parameters
    ----------
    objects
        The store.
    root
        What the keys of these leases begin with.
    lease_s
        Seconds until a lease expires.
    presence
        Tells of owners that run no longer; without it their leases expire.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        root: str,
        lease_s: float,
        presence: Presence | None = None,
    ) -> None:
        self._objects = objects
        self._root = root
        self._lease_s = lease_s
        self._presence = presence
        self._met: dict[str, float] = {}  # others' leases, by key and owner, and since when

    @asynccontextmanager
    async def held(self, work: str, key: str) -> AsyncIterator[None]:
        """Hold the lease on a piece of work during the block.

        Parameters
        ----------
        work
            What names it in the lease's key.
        key
            What it is about, for whoever looks at the store.

        Raises
        ------
        DeliveryUnfinishedError
            Another holds it.
        """
        folder = f"{self._root}{work}/"
        generation = await self._take(work, key)
        try:
            yield
        finally:
            # A lease that cannot be given back expires; a deadline is no reason to leave one.
            with suppress(StoreError):
                await to_its_end(self._give_back(folder, generation))

    async def _take(self, work: str, key: str) -> int:
        folder = f"{self._root}{work}/"
        owner = secrets.token_hex(16)
        if self._presence is not None:
            owner = f"{self._presence.name}.{owner}"
        # As a rule nobody else is at it, and there is no need to look first.
        generation: int | None = 1
        while generation is not None:
            expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._lease_s)
            lease = Lease(key=key, owner=owner, expires_at=expires_at)
            if await self._create(_key(folder, generation), lease):
                return generation
            generation = await self._free_generation(folder)
        raise DeliveryUnfinishedError("another gateway is at it")

    async def _free_generation(self, folder: str) -> int | None:
        """The generation that may be created now; None while somebody holds the claim."""
        keys = await self._objects.keys(folder)
        if not keys:
            return 1
        lease = await self._load(keys[-1])
        if lease is not None and not await self._is_over(keys[-1], lease):
            return None
        return _generation(keys[-1]) + 1

    async def _is_over(self, key: str, lease: Lease) -> bool:
        """Return True if the lease's owner has ended, or it has expired by a clock or our watch.

        The clock of whoever made it may have been set: nobody waits for it any longer than a lease
        may last.
        """
        now = time.monotonic()
        met = self._met.setdefault(f"{key} {lease.owner}", now)
        if len(self._met) > _MOST_MET:
            self._met = {k: since for k, since in self._met.items() if now - since < self._lease_s}
        if lease.expires_at <= dt.datetime.now(dt.UTC) or now - met >= self._lease_s:
            return True
        gateway, named, _ = lease.owner.partition(".")
        return (
            self._presence is not None
            and bool(named)
            and gateway.isalnum()
            and await asyncio.to_thread(self._presence.has_ended, gateway)
        )

    async def _create(self, key: str, lease: Lease) -> bool:
        if await create_document(self._objects, key, lease):
            return True
        # A write whose answer was lost is repeated, and finds itself.
        stored = await self._load(key)
        return stored is not None and stored.owner == lease.owner

    async def _load(self, key: str) -> Lease | None:
        try:
            return await read_or_none(self._objects, Lease, key)
        except UnreadableDocumentError:  # that one holds nobody back
            return None

    async def _give_back(self, folder: str, generation: int) -> None:
        """Delete the leases up to this generation, in order: the one that counts last."""
        older = await self._objects.keys(folder) if generation > 1 else []
        for key in older:
            if _generation(key) < generation:
                await self._objects.delete(key)
        await self._objects.delete(_key(folder, generation))


def _key(folder: str, generation: int) -> str:
    return f"{folder}{generation:06}.json"


def _generation(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))
