"""Turns of work at hand: by lane, and within a lane by fair shares of its senders.

Not `asyncio.PriorityQueue`: what waits in it has no share, and one sender of much would keep the
others of its lane waiting.
"""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from gateway.schemas.routing_rules import Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(order=True, slots=True)
class _Waiting:
    """A piece of work in the line; `granted` is done once it has its turn."""

    rank: int
    round: int
    number: int
    granted: asyncio.Future[None] = field(compare=False)


@dataclass(slots=True)
class _Shares:
    """Rounds of one lane: in each of them every sender that waits has one turn.

    Parameters
    ----------
    round
        That of the last turn.
    last
        Of each sender that has one to come, the last that it has asked for.
    """

    round: int = 0
    last: dict[str, int] = field(default_factory=dict)

    def next_of(self, sender: str) -> int:
        """Return the round of a sender's next turn."""
        number = max(self.round, self.last.get(sender, -1) + 1)
        self.last[sender] = number
        return number

    def reached(self, number: int) -> None:
        """Note the round of a turn, and forget senders that have no later one."""
        if number > self.round:
            self.round = number
            self.last = {name: last for name, last in self.last.items() if last >= number}


class Turns:
    """A number of turns at once; used from one event loop.

    A free turn goes to the most urgent lane that waits, and there to the sender that had its last
    one the longest ago. What has its turn keeps it to its end.

    Parameters
    ----------
    at_once
        The number.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._line: list[_Waiting] = []
        self._numbers = count()
        self._shares = {lane: _Shares() for lane in Lane}

    @asynccontextmanager
    async def turn(self, lane: Lane, sender: str) -> AsyncIterator[None]:
        """Yield a context in which the work has its turn."""
        await self._take(lane, sender)
        try:
            yield
        finally:
            self._give()

    async def _take(self, lane: Lane, sender: str) -> None:
        rank, shares = list(Lane).index(lane), self._shares[lane]
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._line, _Waiting(rank, shares.next_of(sender), next(self._numbers), granted)
        )
        self._serve()
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled():  # granted in the moment in which it was given up
                self._give()
            raise

    def _give(self) -> None:
        self._free += 1
        self._serve()

    def _serve(self) -> None:
        lanes = list(Lane)
        while self._free and self._line:
            first = heapq.heappop(self._line)
            if first.granted.done():  # given up
                continue
            self._free -= 1
            self._shares[lanes[first.rank]].reached(first.round)
            first.granted.set_result(None)
