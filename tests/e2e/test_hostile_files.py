"""No file on earth hurts the gateway: refused with a reason, quickly, in little memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicomweb import data_set, failed, other_failures, store, stored
from tests.support.gateway import (
    ROOT,
    Command,
    client_of,
    metadata,
    multipart,
    running_command,
)
from tests.support.hostile import hostile_files

RADIOGRAPH = (ROOT / "tests/data/images/person931_bacteria_2856.jpeg").read_bytes()
MOST_BYTES = 500 << 20
MOST_S = 10.0  # the contract's limit for one file, kept here as the client's own patience


@pytest.fixture(scope="module")
async def command(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Command]:
    folder = tmp_path_factory.mktemp("hostile")
    async with running_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_TRITON__URL=triton.grpc_url,
        RADSTREAM_STORE__FOLDER=str(folder / "store"),
        RADSTREAM_TELEMETRY__FOLDER=str(folder / "telemetry"),
        RADSTREAM_TELEMETRY__SPOOL_FOLDER=str(folder / "spool"),
    ) as command:
        yield command


@pytest.fixture(scope="module")
async def client(command: Command) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(await command.url()) as client:
        response = await client.post("/v1/studies", **multipart(metadata(), RADIOGRAPH))
        assert response.status_code == 200, response.text
        yield client


def resident_bytes(pid: int) -> int:
    """Memory of the process and of those it started, decoders for one."""
    total = 0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


@asynccontextmanager
async def memory_watched(pid: int) -> AsyncIterator[list[int]]:
    """Samples of the memory while the block runs, the first before it."""
    samples = [resident_bytes(pid)]

    async def sample() -> None:
        while True:
            samples.append(await asyncio.to_thread(resident_bytes, pid))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()


FILES = hostile_files(RADIOGRAPH)


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_file_is_refused(
    name: str, command: Command, client: httpx.AsyncClient
) -> None:
    async with memory_watched(command.pid) as samples:
        response = await client.post(
            "/v1/studies", timeout=MOST_S, **multipart(metadata(), FILES[name])
        )
    assert response.status_code in {413, 415, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"
    (fault,) = response.json()["errors"]
    assert fault["pointer"] == "image[0]"
    assert fault["detail"]
    assert max(samples) - samples[0] < MOST_BYTES


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_instance_is_refused_or_stored(
    name: str, command: Command, client: httpx.AsyncClient
) -> None:
    """Its header may be sound: what only decoding finds is told in its study."""
    async with memory_watched(command.pid) as samples:
        response = await store(client, FILES[name])
    assert response.status_code in {200, 409}, response.text
    answer = data_set(response)
    assert len(stored(answer)) + len(failed(answer)) + len(other_failures(answer)) == 1
    assert max(samples) - samples[0] < MOST_BYTES


async def test_the_gateway_still_reads_after_all_of_them(client: httpx.AsyncClient) -> None:
    files = list(FILES.values())
    responses = await asyncio.gather(
        *(client.post("/v1/studies", **multipart(metadata(), data)) for data in files[:8])
    )
    assert {response.status_code for response in responses} <= {413, 415, 422}
    response = await client.post("/v1/studies", **multipart(metadata(), RADIOGRAPH))
    assert response.status_code == 200
