"""Work that runs beside the requests for as long as the gateway is open."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from gateway.runtime.health import Health

log = structlog.get_logger()


@asynccontextmanager
async def running(
    name: str, work: Coroutine[object, object, object], health: Health
) -> AsyncIterator[None]:
    """Run the work beside the block and stop it at the block's end.

    Should it fail before, the process says so in its log and in its health: half a gateway must
    not look like a whole one.
    """
    task = asyncio.create_task(_watched(name, work, health))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        work.close()  # where the block ended before it could begin


async def _watched(name: str, work: Coroutine[object, object, object], health: Health) -> None:
    try:
        await work
    except Exception:
        log.exception("background.failed", work=name)
        health.fail(name)
