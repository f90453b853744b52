"""Work of the gateway's parts runs until the gateway is closed, and its failure is known."""

import asyncio

from tests.gateway.app.lifespan.conftest import InContext
from tests.support.gateway import until


async def test_work_runs_until_the_stack_is_closed(in_context: InContext):
    context, ended = in_context(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await context.run("work", work())
    await asyncio.sleep(0)
    assert not ended.is_set()
    await context.stack.aclose()
    assert ended.is_set()


async def test_work_that_fails_is_told_by_its_name(in_context: InContext):
    async def work() -> None:
        raise RuntimeError

    context = in_context()
    await context.run("sweep", work())
    await until(lambda: context.health.failed == "sweep")
