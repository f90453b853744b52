"""A store behind a proxy that makes faults."""

from collections.abc import AsyncIterator

import pytest

from gateway.storage.s3 import S3Store
from tests.support.s3 import (
    Faults,
    faults,
    new_store,
)

TYPE = "application/octet-stream"


@pytest.fixture(scope="module")
async def proxy(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faults]:
    async with faults(s3_url, tmp_path_factory.mktemp("faults")) as proxy:
        yield proxy


@pytest.fixture
async def faulty(proxy: Faults) -> AsyncIterator[S3Store]:
    """A store behind the proxy, with one object."""
    await proxy.set()
    async with new_store(proxy.url, timeout_s=10.0) as store:
        await store.replace("a", b"data", media_type=TYPE)
        yield store
        await proxy.set()
