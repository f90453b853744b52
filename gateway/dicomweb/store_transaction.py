"""The instances of one request on their way into the store."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING

from gateway.runtime.concurrency import together

if TYPE_CHECKING:
    from gateway.admission.admission import Admission, Slot
    from gateway.deferred.dicom_store import DicomStore, InstanceOutcome, InstanceSender
    from gateway.dicomweb.parts import Part, Parts
    from gateway.studies.dicom_instance import InstanceUids

# Instances of one request that are stored at once; each is whole in memory meanwhile.
_AT_ONCE = 4


class StoreTransaction:
    """A store transaction: some instances are stored while the next one comes.

    To store is mostly to wait for the store.

    Parameters
    ----------
    admission
        Holds room for the instances' bytes.
    store
        Takes them.
    parts, sender, expected
        The instances, their sender, and the UIDs that all of them must have.
    """

    def __init__(
        self,
        admission: Admission,
        store: DicomStore,
        parts: Parts,
        sender: InstanceSender,
        expected: InstanceUids,
    ) -> None:
        self._admission = admission
        self._store = store
        self._parts = parts
        self._sender = sender
        self._expected = expected
        self._reading = asyncio.Lock()
        self._stored = asyncio.Condition()
        self._places = itertools.count()
        self._storing = 0
        self._outcomes: dict[int, InstanceOutcome] = {}

    async def run(self) -> list[InstanceOutcome]:
        """Return the outcome of each part, in their order."""
        await together(self._store_in_turn() for _ in range(_AT_ONCE))
        return [self._outcomes[place] for place in sorted(self._outcomes)]

    async def _store_in_turn(self) -> None:
        while True:
            with self._admission.slot(self._sender.share) as slot:
                async with self._reading:
                    part = await self._parts.next(partial(self._hold, slot))
                    place = next(self._places)
                if part is None:
                    return
                self._storing += 1
                self._outcomes[place] = await self._outcome(part)
            async with self._stored:
                self._storing -= 1
                self._stored.notify_all()

    async def _hold(self, slot: Slot, size: int) -> None:
        """Hold room for a part's bytes, waiting for that of others of the request."""
        async with self._stored:
            await self._stored.wait_for(lambda: not self._storing or slot.has_room(size))
        slot.hold_bytes(size)

    async def _outcome(self, part: Part) -> InstanceOutcome:
        data = memoryview(part.data)
        if part.error is None:
            return await self._store.store(data, self._sender, self._expected)
        return await self._store.refuse(data, self._sender, part.error)
