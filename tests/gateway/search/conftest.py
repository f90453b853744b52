"""A store in memory, and a gateway that indexes its studies there."""

import pytest

from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def gateway(objects: MemoryStore) -> IndexingGateway:
    return IndexingGateway(objects)
