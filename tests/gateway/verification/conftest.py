"""Stores to verify, a folder and a bucket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.folder import FolderStore
from gateway.storage.protocol import ObjectStore
from tests.support.s3 import new_store


@pytest.fixture
async def folder_store(tmp_path: Path) -> ObjectStore:
    store = FolderStore(tmp_path / "store")
    await store.open()
    return store


@pytest.fixture
async def s3_store(s3_url: str) -> AsyncIterator[ObjectStore]:
    async with new_store(s3_url) as store:
        yield store


@pytest.fixture(params=["folder_store", "s3_store"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened
