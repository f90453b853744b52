"""A drop folder and a store in memory, and one gateway on them."""

import pytest

from tests.support.pairing import (
    DropFolderGateway,
    Readings,
    gateway_on,
    no_turn,
)
from tests.support.store import MemoryStore


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore(no_turn)


@pytest.fixture
def dropped() -> MemoryStore:
    return MemoryStore(no_turn)


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def pairing(objects: MemoryStore, dropped: MemoryStore, readings: Readings) -> DropFolderGateway:
    return gateway_on(objects, dropped, readings)
