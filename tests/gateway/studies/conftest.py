"""Pipelines before a real and before a scripted Triton."""

from collections.abc import AsyncIterator

import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.studies.piped import Parts, piped
from tests.support.inference import (
    ScriptedTriton,
    serving,
)
from tests.support.store import MemoryStore


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def parts(triton: EmbeddedTriton, objects: MemoryStore) -> AsyncIterator[Parts]:
    async with piped(triton.grpc_url, objects) as parts:
        yield parts


@pytest.fixture
async def scripted(objects: MemoryStore) -> AsyncIterator[tuple[ScriptedTriton, Parts]]:
    triton = ScriptedTriton()
    async with serving(triton) as url, piped(url, objects) as parts:
        yield triton, parts
