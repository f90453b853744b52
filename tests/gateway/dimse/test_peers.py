"""Senders that others made: Orthanc, tiny-pacs and dcmjs-dimse."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support.dicom import file_of, radiograph
from tests.support.dimse import LiveListener, dimse_settings, running_listener
from tests.support.gateway import ROOT
from tests.support.orthanc import running_orthanc
from tests.support.tiny_pacs import running_tiny_pacs

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


async def test_tiny_pacs_moves_studies(listener: LiveListener, tmp_path: Path):
    before = await listener.count("instances_total", status="0000")
    # Its library deflates nothing, and says that it does.
    samples = [sample for sample in SAMPLES if "deflated" not in sample.name]
    studies = [dcmread(sample, stop_before_pixels=True).StudyInstanceUID for sample in samples]
    async with running_tiny_pacs(tmp_path, listener.port) as pacs:
        await pacs.keep(samples)
        outputs = [await pacs.move(study) for study in studies]
    assert all("Received Final Move Response (Success)" in output for output in outputs), outputs
    assert await listener.count("instances_total", status="0000") == before + len(samples)


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
