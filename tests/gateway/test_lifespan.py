"""Work in the background that dies takes the process's health with it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.lifespan.background import running
from gateway.services.health import Health
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
