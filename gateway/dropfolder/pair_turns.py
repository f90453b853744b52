"""Turns of the deliveries of one pair: inside a process one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped


class PairTurns:
    """Locks of the pairs that deliveries of this process are at.

    Whoever waits for one is to hold nothing that others need.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, dropped: Dropped) -> asyncio.Lock:
        """Return the lock of the object's pair, which goes with the last one who has it."""
        return self._locks.setdefault(dropped.pair_reference, asyncio.Lock())
