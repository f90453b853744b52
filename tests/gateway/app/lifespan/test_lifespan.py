"""Work in the background that dies takes the process's health with it."""

import asyncio
import inspect
import time

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.app.lifespan.background import running
from gateway.observability.event_loop import observe_lag
from gateway.observability.metrics import Metrics
from gateway.runtime.health import Health
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until


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


async def test_a_gateway_that_lost_a_part_asks_for_its_restart(
    gateway: LiveGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_for(gateway.settings.triton.url, tmp_path_factory.mktemp("store"))
    async with running_gateway(settings) as other:
        assert (await other.client.get("/livez")).json() == {"status": "alive"}
        other.server._health.fail("sweep")
        alive, ready = await other.client.get("/livez"), await other.client.get("/readyz")
    assert (alive.status_code, alive.json()) == (503, {"status": "failed", "part": "sweep"})
    assert (ready.status_code, ready.json()["checks"]["failed"]) == (503, "sweep")


async def test_a_blocked_event_loop_is_seen() -> None:
    metrics = Metrics(CollectorRegistry())

    def lag(part: str) -> float:
        name = f"radstream_event_loop_lag_seconds_{part}"
        return metrics.registry.get_sample_value(name) or 0

    async with running("event loop lag", observe_lag(metrics), Health()):
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - what nobody may do: the timer of 0.25 s fires late
        await until(lambda: lag("count") >= 1)
    assert lag("sum") >= 0.2


async def test_a_running_gateway_tells_its_lag(gateway: LiveGateway) -> None:
    async def is_told() -> bool:
        return await gateway.metric("radstream_event_loop_lag_seconds_count") > 0

    await until(is_told)
