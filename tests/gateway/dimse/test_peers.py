"""Senders that others made: Orthanc's C-STORE, and dcmjs-dimse."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dicom import file_of, radiograph
from tests.support.dimse import LiveListener, dimse_settings, running_listener
from tests.support.gateway import ROOT
from tests.support.orthanc import running_orthanc

pytestmark = pytest.mark.server

SAMPLES = sorted((ROOT / "tests/data/images").glob("*.dcm"))
DCMJS = Path(__file__).parent / "dcmjs" / "store.js"


@pytest.fixture(scope="module")
async def listener(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveListener]:
    async with running_listener(dimse_settings(tmp_path_factory.mktemp("peers"))) as listener:
        yield listener


async def test_orthanc_sends_the_samples_and_its_job_succeeds(
    listener: LiveListener, tmp_path: Path
):
    before = await listener.count("instances_total", status="0000")
    async with running_orthanc(tmp_path, dimse_port=listener.port) as orthanc:
        kept = [await orthanc.keep(sample.read_bytes()) for sample in SAMPLES]
        job = await orthanc.send(*kept)
    assert job["State"] == "Success", job
    assert await listener.count("instances_total", status="0000") == before + len(SAMPLES)


async def test_dcmjs_echoes_and_stores(listener: LiveListener, tmp_path: Path):
    dataset = radiograph()
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(dataset))
    process = await asyncio.create_subprocess_exec(
        *("node", str(DCMJS), str(listener.port), str(path)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (process.returncode, output.split()) == (0, [b"0", b"0"])
    answer = await listener.gateway.client.get(f"/v1/studies/{dataset.StudyInstanceUID}")
    assert answer.is_success
