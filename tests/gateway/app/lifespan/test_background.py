"""Work in the background is stopped with its block, and its failure noted."""

import asyncio
import inspect

from structlog.testing import capture_logs

from gateway.app.lifespan.background import running
from gateway.runtime.health import Health
from tests.support.gateway import until


async def test_work_is_stopped_with_its_block() -> None:
    health, stopped = Health(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with running("work", work(), health):
        await asyncio.sleep(0)
    assert stopped.is_set()
    assert health.failed is None


async def test_work_may_end_before_it_began() -> None:
    """As where the next part of the gateway cannot be opened; Python would warn of it."""
    work = asyncio.sleep(60)
    async with running("work", work, Health()):
        pass
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_work_that_fails_is_logged_once_and_noted() -> None:
    health = Health()

    async def work() -> None:
        raise RuntimeError

    with capture_logs() as logs:
        async with running("sweep", work(), health):
            await until(lambda: health.failed is not None)
    assert health.failed == "sweep"
    assert [entry["event"] for entry in logs] == ["background.failed"]
