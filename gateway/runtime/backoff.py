"""Waits between attempts that double up to a ceiling.

Not stamina or tenacity: they repeat one call until it returns, and here each attempt differs from
the last (what is left of a batch, work whose count of attempts is stored, a model reported anew).
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait after so many failures: twice as long after each, up to a ceiling, with jitter.

    Parameters
    ----------
    first_s
        Bound of the first wait, in seconds.
    longest_s
        Ceiling of the bound.
    jitter
        Share of the bound that is random, 0 to 1: those that failed together do not come back
        together. 1 is the "full jitter" of
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """

    first_s: float
    longest_s: float
    jitter: float = 0.5

    def wait_s(self, failures: int) -> float:
        """Return the seconds to wait; the bound has doubled so many times."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(failures, 30))
        return bound * random.uniform(1.0 - self.jitter, 1.0)  # noqa: S311 - jitter

    async def wait(self, failures: int, stop: asyncio.Event | None = None) -> None:
        """Wait so long, or until the event is set."""
        if stop is None:
            await asyncio.sleep(self.wait_s(failures))
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self.wait_s(failures))
