"""A gateway that lost a part of its work in the background asks for its restart."""

import pytest

from tests.support.gateway import LiveGateway, running_gateway, settings_for


async def test_a_gateway_that_lost_a_part_asks_for_its_restart(
    gateway: LiveGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_for(gateway.settings.triton.url, tmp_path_factory.mktemp("store"))
    async with running_gateway(settings) as other:
        assert (await other.client.get("/livez")).json() == {"status": "alive"}
        other.server.health.fail("sweep")
        alive, ready = await other.client.get("/livez"), await other.client.get("/readyz")
    assert (alive.status_code, alive.json()) == (503, {"status": "failed", "part": "sweep"})
    assert (ready.status_code, ready.json()["checks"]["failed"]) == (503, "sweep")
