"""One live gateway before the one real Triton, and empty stores of each kind.

The store of the gateway is shared, so every test takes new ids.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.settings import CompletionSettings
from gateway.storage.folder import FolderStore
from gateway.storage.protocol import ObjectStore
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until
from tests.support.s3 import new_store
from tests.support.store import MemoryStore


@pytest.fixture(scope="session")
async def gateway(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that is ready."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("store"))
    # No study is quiet for so long: what is made of a complete one comes between no two requests.
    settings = settings.model_copy(update={"completion": CompletionSettings(quiet_s=3600)})
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


@pytest.fixture
def client(gateway: LiveGateway) -> httpx.AsyncClient:
    """A client of the gateway."""
    return gateway.client


@pytest.fixture
async def folder_store(tmp_path: Path) -> ObjectStore:
    store = FolderStore(tmp_path / "store")
    await store.open()
    return store


@pytest.fixture
def memory_store() -> ObjectStore:
    return MemoryStore()


@pytest.fixture
async def s3_store(s3_url: str) -> AsyncIterator[ObjectStore]:
    async with new_store(s3_url) as store:
        await store.open("results/")
        yield store
