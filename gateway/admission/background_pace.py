"""The pace of studies that nobody waits for, beside those that somebody does."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# Since the last study that was waited for, until the machine is the background's again.
_QUIET_S = 1.0
# CPU time that may be used in one go, of each core.
_BURST_S = 0.05
# Between two studies that go on: the first has used some of the time by then.
_APART_S = 0.01
# No study waits longer for its turn once it is the next, however much the others take.
_MOST_S = 0.25


class BackgroundPace:
    """A number of places, and a token bucket of the gateway's CPU time, whatever it is used for.

    While somebody waits for a study, those that nobody waits for go on one after another: as many
    at once as they have cores, and only as long as the gateway uses less than their share. At other
    times there is no pace.

    Parameters
    ----------
    share
        Of the cores; 1 keeps no pace.
    cores
        Number of them.
    on_held
        Told of the seconds that each study waits as the next.
    clock, cpu, sleep
        Tell the time, and the seconds of CPU that the gateway has used; let time pass.
    """

    def __init__(
        self,
        share: float,
        cores: int,
        *,
        on_held: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = share * cores
        self._places = max(1, round(share * cores))
        self._at_work = 0
        self._is_kept = share < 1
        self._on_held = on_held
        self._most = _BURST_S * cores
        self._clock = clock
        self._cpu = cpu
        self._sleep = sleep
        self._level = self._most
        self._seen = (clock(), cpu())
        self._awaited = 0
        self._quiet_at = 0.0
        self._line = asyncio.Lock()

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """Yield a context in which somebody waits for a study."""
        self._awaited += 1
        try:
            yield
        finally:
            self._awaited -= 1
            self._quiet_at = self._clock() + _QUIET_S

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Yield a context in which a study that nobody waits for goes on."""
        if self._is_on():
            async with self._line:
                await self._hold_back()
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    async def _hold_back(self) -> None:
        began = self._clock()
        await self._sleep(_APART_S)
        while self._is_on() and self._is_short() and self._clock() < began + _MOST_S:
            await self._sleep(_APART_S)
        self._on_held(self._clock() - began)

    def _is_on(self) -> bool:
        return self._is_kept and (self._awaited > 0 or self._clock() < self._quiet_at)

    def _is_short(self) -> bool:
        """Bring the bucket up to now; return True if it is empty, or no place is free."""
        now, used = self._clock(), self._cpu()
        then, used_then = self._seen
        self._seen = (now, used)
        level = self._level + self._rate * (now - then) - (used - used_then)
        self._level = max(-self._most, min(self._most, level))
        return self._level <= 0 or self._at_work >= self._places
