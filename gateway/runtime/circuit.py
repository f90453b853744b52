"""A circuit breaker: who answers no more is left alone, then asked by one caller at a time.

Not pybreaker or aiobreaker: they refuse calls while the circuit is open, and here these wait.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_BACKOFF = Backoff(first_s=1.0, longest_s=60.0)


class Circuit:
    """The circuit of one system that is called, closed as long as it answers.

    Parameters
    ----------
    backoff
        Time that it stays open, by the number of failures in a row.
    changed
        Told whenever it opens (True) or closes.
    """

    def __init__(
        self,
        backoff: Backoff = _BACKOFF,
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._backoff = backoff
        self._tell = changed
        self._failures = 0
        self._open_until = 0.0
        self._is_tried = False
        self._moved = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Return True if the last call failed."""
        return self._failures > 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Enter the block once the system may be called; an open circuit lets one in at a time.

        Within it `succeeded` or `failed` tells how the call ended; neither, if there was none.
        """
        tries = await self._enter()
        try:
            yield
        finally:
            if tries:
                self._is_tried = False
                self._move()

    def succeeded(self) -> None:
        """Close it: the system answered, whatever its answer."""
        if self._failures:
            self._failures = 0
            self._tell(False)
            self._move()

    def failed(self, retry_after_s: float | None = None) -> None:
        """Open it: the system did not answer, or asked to be left alone.

        Parameters
        ----------
        retry_after_s
            Seconds that it asked for; the longer of these and the backoff counts.
        """
        wait_s = max(self._backoff.wait_s(self._failures), retry_after_s or 0.0)
        self._failures += 1
        self._open_until = time.monotonic() + wait_s
        if self._failures == 1:
            self._tell(True)
        self._move()

    async def _enter(self) -> bool:
        """Return True if the caller is the one that tries an open circuit."""
        while self._failures:
            left_s = self._open_until - time.monotonic()
            if left_s <= 0 and not self._is_tried:
                self._is_tried = True
                return True
            moved = self._moved
            try:
                async with asyncio.timeout(None if self._is_tried else left_s):
                    await moved.wait()
            except TimeoutError:
                continue
        return False

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
