"""A deletion that was answered withdraws what an archive has, though the gateway is killed."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from gateway.triton.embedded import EmbeddedTriton
from tests.support.delivery import all_in, dicom, routing, stow
from tests.support.dicom import radiograph
from tests.support.dimse import free_port
from tests.support.gateway import Command, client_of, running_command, until
from tests.support.orthanc import Orthanc, running_orthanc

pytestmark = pytest.mark.server

TITLE = "ORTHANC"


@asynccontextmanager
async def serving(
    triton: EmbeddedTriton, folder: Path
) -> AsyncIterator[tuple[Command, httpx.AsyncClient]]:
    """A gateway on the folder's store and with its destinations, as a process of its own."""
    async with (
        running_command(
            "serve",
            RADSTREAM_HTTP__PORT="0",
            RADSTREAM_TRITON__URL=triton.grpc_url,
            RADSTREAM_STORE__FOLDER=str(folder / "store"),
            RADSTREAM_ROUTING__FILE=str(folder / "routing.json"),
            RADSTREAM_PENDING__SWEEP_S="0.2",
            RADSTREAM_COMPLETION__QUIET_S="1",
            RADSTREAM_DELIVERIES__TIMEOUT_S="5",
        ) as command,
        client_of(await command.url()) as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/readyz")).is_success

        await until(is_ready)
        yield command, client


async def held(pacs: Orthanc, study: str) -> tuple[int, int]:
    """Numbers of reports and of rejection notes that the archive has of a study."""
    return await pacs.instances(study, "SR"), await pacs.instances(study, "KO")


async def test_a_deletion_is_withdrawn_though_the_gateway_is_killed_behind_its_answer(
    triton: EmbeddedTriton, tmp_path: Path
) -> None:
    study, port = generate_uid(), free_port()
    forms = ["structured-report", "rejection-note"]
    document = routing(dicom("pacs", port, ae_title=TITLE, renderings=forms))
    path = tmp_path / "routing.json"
    path.write_text(document.model_dump_json(by_alias=True, exclude_unset=True))
    (tmp_path / "orthanc").mkdir()
    async with running_orthanc(tmp_path / "orthanc", own_dimse_port=port, title=TITLE) as pacs:
        async with serving(triton, tmp_path) as (command, client):
            await stow(client, radiograph(StudyInstanceUID=study))
            await until(lambda: all_in(client, study, "acknowledged", "confirmed"))
            assert await held(pacs, study) == (1, 0)
            pacs.process.send_signal(signal.SIGSTOP)  # nothing is sent before the kill
            answer = await client.delete(f"/v1/studies/{study}")
            command.process.kill()
            await command.process.wait()
        pacs.process.send_signal(signal.SIGCONT)
        assert answer.status_code == 204
        async with serving(triton, tmp_path) as (_, client):

            async def is_withdrawn() -> bool:
                return await held(pacs, study) == (2, 1)

            await until(is_withdrawn)
            assert (await client.get(f"/v1/studies/{study}")).status_code == 410
