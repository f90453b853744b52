"""The time a request has left, passed down to every outside call."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock."""

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline this many seconds from now."""
        return cls(time.monotonic() + seconds)

    def later(self, seconds: float) -> Deadline:
        """Return the deadline this many seconds after this one."""
        return Deadline(self.expires_at + seconds)

    def remaining_s(self) -> float:
        """Return seconds left, 0 at the least."""
        return max(0.0, self.expires_at - time.monotonic())

    @asynccontextmanager
    async def bounds(self, stage: str) -> AsyncIterator[None]:
        """Cancel the block when the time is up.

        Raises
        ------
        DeadlineExceededError
            Naming the stage.
        """
        timeout = asyncio.timeout(self.remaining_s())
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise DeadlineExceededError(stage) from error
