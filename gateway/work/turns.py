"""Turns of work at hand: by lane, and within a lane by fair shares of its senders.

Those of the steps of studies are kept from a lane while more urgent ones are under way.

Not `asyncio.PriorityQueue`: what waits in it has no share, and one sender of much would keep the
others of its lane waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from gateway.schemas.routing_rules import Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_LANES = list(Lane)
_RESEARCH = _LANES.index(Lane.RESEARCH)
# Beside studies of a more urgent lane so many steps more could begin: one of theirs, and one for
# what goes on around it, the store's and the senders'.
_LEFT = 2
# A lane that is kept back has a step in this time all the same, so that no deadline of it passes.
_MOST_S = 2.0
# From the acceptance of a study to its place in the line of accepted ones.
_HANDOVER_S = 0.01


@dataclass(order=True, slots=True)
class _Waiting:
    """A piece of work in the line; `granted` is done once it has its turn."""

    rank: int
    round: int
    number: int
    since: float = field(compare=False)
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
    """A number of turns at once, and one more for the most urgent lane; used from one event loop.

    A free turn goes to the most urgent lane that waits, and there to the sender that had its last
    one the longest ago. What has its turn keeps it to its end.

    Parameters
    ----------
    at_once
        The number.
    clock
        Tells the time.
    """

    def __init__(self, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._taken = 0
        self._line: list[_Waiting] = []
        self._numbers = count()
        self._shares = [_Shares() for _ in _LANES]

    @asynccontextmanager
    async def turn(self, lane: Lane, sender: str) -> AsyncIterator[None]:
        """Yield a context in which the work has its turn."""
        await self._take(lane, sender)
        try:
            yield
        finally:
            self._give()

    async def _take(self, lane: Lane, sender: str) -> None:
        rank = _LANES.index(lane)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (rank, self._shares[rank].next_of(sender), next(self._numbers))
        heapq.heappush(self._line, _Waiting(*place, self._clock(), granted))
        self._serve()
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled():  # granted in the moment in which it was given up
                self._give()
            raise

    def _give(self) -> None:
        self._taken -= 1
        self._serve()

    def _may_begin(self, first: _Waiting) -> bool:
        """Return True if there is a turn for what is first in the line."""
        return self._taken < self._at_once + (first.rank == 0)

    def _serve(self) -> None:
        while self._line:
            first = self._line[0]
            if not first.granted.done():  # else given up
                if not self._may_begin(first):
                    return
                self._begin(first)
            heapq.heappop(self._line)

    def _begin(self, first: _Waiting) -> None:
        self._taken += 1
        self._shares[first.rank].reached(first.round)
        first.granted.set_result(None)


class Steps(Turns):
    """Turns of the steps of studies: the work on a study's images, and its inference.

    While a study of a more urgent lane is under way, from the moment in which its lane is known to
    its end, a step begins only where two more could begin beside it. Otherwise any begins at once,
    but those of the last lane, of which a bounded number is under way: what a model has been sent
    it does to its end, and an urgent study waits for it.

    Parameters
    ----------
    at_once
        The number: the cores that steps run on.
    """

    def __init__(self, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(at_once, clock=clock)
        self._under_way = [0] * len(_LANES)
        self._began = [-math.inf] * len(_LANES)
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def under_way(self, lane: Lane) -> Iterator[None]:
        """Yield a context in which a study of the lane is under way."""
        rank = _LANES.index(lane)
        self._under_way[rank] += 1
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(_HANDOVER_S, self._leave, rank)

    def _leave(self, rank: int) -> None:
        self._under_way[rank] -= 1
        self._serve()

    def _may_begin(self, first: _Waiting) -> bool:
        if not any(self._under_way[: first.rank]):
            return first.rank != _RESEARCH or self._taken < self._at_once
        if self._taken + _LEFT < self._at_once:
            return True
        left_s = max(first.since, self._began[first.rank]) + _MOST_S - self._clock()
        if left_s > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._look_again)
        return left_s <= 0

    def _look_again(self) -> None:
        self._timer = None
        self._serve()

    def _begin(self, first: _Waiting) -> None:
        self._began[first.rank] = self._clock()
        super()._begin(first)


class StudyTurns(Turns):
    """Turns of accepted studies, which are under way from their place in the line to their end.

    Parameters
    ----------
    at_once
        See `Turns`.
    steps
        Steps of all studies.
    """

    def __init__(self, at_once: int, steps: Steps) -> None:
        super().__init__(at_once)
        self._steps = steps

    @asynccontextmanager
    async def turn(self, lane: Lane, sender: str) -> AsyncIterator[None]:
        """Yield a context in which the study has its turn."""
        with self._steps.under_way(lane):
            async with super().turn(lane, sender):
                yield
