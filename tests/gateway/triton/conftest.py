"""Clients of a real and of a scripted Triton."""

from collections.abc import AsyncIterator

import pytest

from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.triton.connected import QUEUE_OF_ONE, WAITING, connected
from tests.support.inference import (
    ScriptedTriton,
    serving,
)
from tests.support.models import write_model, write_repository
from tests.support.triton import running_triton


@pytest.fixture(scope="module")
async def own_triton(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTriton]:
    """A Triton that may be killed."""
    repository = write_repository(tmp_path_factory.mktemp("models"))
    write_model(repository, "waiting", batching=WAITING)
    write_model(repository, "queue_of_one", batching=QUEUE_OF_ONE)
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture
async def client(own_triton: EmbeddedTriton) -> AsyncIterator[TritonClient]:
    async with connected(own_triton.grpc_url) as client:
        yield client


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[ScriptedTriton, TritonClient]]:
    triton = ScriptedTriton()
    async with serving(triton) as url, connected(url) as client:
        yield triton, client
