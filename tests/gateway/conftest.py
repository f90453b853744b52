"""One live gateway before the one real Triton; its store is shared, so every test takes new ids."""

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until


@pytest.fixture(scope="session")
async def gateway(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that is ready."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("store"))
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


@pytest.fixture
def client(gateway: LiveGateway) -> httpx.AsyncClient:
    """A client of the gateway."""
    return gateway.client
