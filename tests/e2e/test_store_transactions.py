"""A store transaction's success outlives the gateway: killed behind its answer, nothing is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import data_set, is_processed, store, stored
from tests.support.gateway import Command, client_of, running_command, suspended, until

INSTANCES = 6


@asynccontextmanager
async def serving(
    triton: EmbeddedTriton, folder: Path
) -> AsyncIterator[tuple[Command, httpx.AsyncClient]]:
    """A gateway on the folder's store, as a process of its own, that is ready."""
    async with (
        running_command(
            "serve",
            RADSTREAM_HTTP__PORT="0",
            RADSTREAM_HTTP__REQUEST_TIMEOUT_S="2",  # and by that, of a dead gateway's leases
            RADSTREAM_TRITON__URL=triton.grpc_url,
            RADSTREAM_STORE__FOLDER=str(folder),
            RADSTREAM_PENDING__SWEEP_S="0.2",
        ) as command,
        client_of(await command.url()) as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/readyz")).is_success

        await until(is_ready)
        yield command, client


@pytest.mark.parametrize("under_way", [False, True])
async def test_what_is_stored_is_processed_once_though_the_gateway_is_killed(
    triton: EmbeddedTriton, tmp_path: Path, *, under_way: bool
) -> None:
    study = generate_uid()
    files = [file_of(radiograph(StudyInstanceUID=study)) for _ in range(INSTANCES)]
    async with serving(triton, tmp_path) as (command, client):
        with nullcontext() if under_way else suspended(triton):
            answer = await store(client, *files)
            command.process.kill()
            await command.process.wait()
    assert answer.status_code == 200
    assert len(stored(data_set(answer))) == INSTANCES
    async with serving(triton, tmp_path) as (_, client):
        await is_processed(client, study, INSTANCES)
        view = (await client.get(f"/v1/studies/{study}")).json()
        assert len({image["sha256"] for image in view["images"]}) == INSTANCES
        assert "failures" not in view
        assert "pending" not in view
