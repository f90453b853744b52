"""An amount that many callers share, so that one that floods leaves room for the others."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Waiting:
    """A caller that waits in line; `granted` is done once it holds the amount."""

    caller: str
    amount: int
    granted: asyncio.Future[None]


class SharedBudget:
    """A budget of bytes or places, held in parts by callers; used from one event loop.

    A caller may hold as much as stays free beside it: alone one holds at most half, of two who
    want all they can get each holds a third, and there is always something left for a newcomer.
    The number of callers, and which of them want more, need not be known.

    Parameters
    ----------
    limit
        The most that all callers hold together.

    References
    ----------
    A. K. Choudhury, E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet
    switches", IEEE/ACM Transactions on Networking 6 (1998): the threshold here, with alpha = 1.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._held: defaultdict[str, int] = defaultdict(int)
        self._line: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """Return the number of those that stand in the line."""
        return len(self._line)

    def is_full(self, amount: int = 1) -> bool:
        """Return True if no caller at all could take this amount now."""
        return self.used + amount > self.limit

    def has_room(self, caller: str, amount: int = 1, *, atop: int = 0) -> bool:
        """Return True if the caller may take this amount now.

        Parameters
        ----------
        atop
            The caller's amount for the same thing so far: growth is judged as if all were
            taken at once, at the size that it comes to.
        """
        return self._held.get(caller, 0) + amount <= self.limit - (self.used - atop)

    def take(self, caller: str, amount: int = 1, *, atop: int = 0) -> bool:
        """Take this amount for the caller; return False, taking nothing, if it has no room."""
        if not self.has_room(caller, amount, atop=atop):
            return False
        self.used += amount
        self._held[caller] += amount
        return True

    async def wait(self, caller: str, amount: int = 1) -> None:
        """Stand in line until the caller holds this amount; each caller is served in its order."""
        if self.take(caller, amount):
            return
        place = _Waiting(caller, amount, asyncio.get_running_loop().create_future())
        self._line.append(place)
        try:
            await place.granted
        except asyncio.CancelledError:
            if place.granted.cancelled():
                self._line.remove(place)
            else:  # granted in the moment in which the wait was given up
                self.give(caller, amount)
            raise

    def give(self, caller: str, amount: int = 1) -> None:
        """Take back an amount that the caller holds, and serve the line."""
        self.used -= amount
        self._held[caller] -= amount
        if not self._held[caller]:
            del self._held[caller]
        if self._line:
            self._serve()

    def _serve(self) -> None:
        """Grant what is free to the caller that has waited longest among those that may have it."""
        passed_over: set[str] = set()
        for place in list(self._line):
            if self.is_full():
                break
            if place.caller in passed_over or place.granted.done():
                continue
            if self.take(place.caller, place.amount):
                self._line.remove(place)
                place.granted.set_result(None)
            else:
                passed_over.add(place.caller)
