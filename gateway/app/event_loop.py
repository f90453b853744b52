"""The event loop that the gateway's processes run on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(work: Coroutine[object, object, bool]) -> bool:
    """Return the result of the work, on libuv's event loop.

    It takes less of the processor than asyncio's own for the same study (bench/serving).
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
