"""Turns of work that is done only while nothing else is: readings by shadow models."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# Without a study at work; between the studies of a sender who sends one after another is less.
_QUIET_S = 0.1
_STEP_S = 0.02


class IdleTurns:
    """Turns that come one after another, each after a moment without a study.

    A turn that has begun delays the study that comes meanwhile. So turns take a share of the time
    at most: of studies that come at random no larger share meets one.

    Parameters
    ----------
    is_busy
        Tells of a study at work or in line.
    share
        Of the time, for all turns together.
    clock, sleep
        Tell the time, and let it pass.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        share: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._is_busy = is_busy
        self._pauses = 1 / share - 1
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Yield once nothing else is at work and the pause after the last turn is over."""
        await self._sleep(max(0.0, self._next_at - self._clock()))
        left = _QUIET_S
        while left > 0:
            await self._sleep(_STEP_S)
            left = _QUIET_S if self._is_busy() else left - _STEP_S
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            self._next_at = now + (now - began) * self._pauses
