"""DICOMweb in JavaScript: OHIF's client stores, searches and retrieves; OHIF shows a study."""

import asyncio
import io
import json
from pathlib import Path

import cv2
from pydicom import dcmread

from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, store
from tests.support.gateway import ROOT, LiveGateway

PEERS = Path(__file__).parent / "peers"
OHIF = ROOT / ".venv/ohif/package/dist"
SAMPLE = ROOT / "tests/data/images/kermany_jpeg_baseline.dcm"


async def run(*command: str) -> str:
    """What a script prints."""
    process = await asyncio.create_subprocess_exec(
        "node", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, (output[-2000:], errors[-2000:])
    return output.decode()


async def test_ohifs_client_stores_searches_and_retrieves(
    gateway: LiveGateway, tmp_path: Path
) -> None:
    image = radiograph(PatientName="Client^Javascript")
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(image))
    output = await run(
        *(str(PEERS / "client.js"), f"{gateway.url}/dicomweb", str(path)),
        *(image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID),
    )
    found = json.loads(output)
    assert found == {
        "series": [image.SeriesInstanceUID],
        "instances": [image.SOPInstanceUID],
        "patient": "Client^Javascript",
        "instance": file_of(image).hex(),
        "frame": image.PixelData.hex(),
        "rendered": b"\x89PNG\r\n\x1a\n".hex(),
    }


async def test_ohif_shows_a_study(gateway: LiveGateway, tmp_path: Path) -> None:
    data = SAMPLE.read_bytes()
    study = dcmread(io.BytesIO(data), stop_before_pixels=True).StudyInstanceUID
    assert (await store(gateway.client, data)).status_code == 200
    await is_processed(gateway.client, study, 1)
    picture = tmp_path / "ohif.png"
    root = f"{gateway.url}/dicomweb"
    await run(str(PEERS / "viewer.js"), root, str(OHIF), study, str(picture))
    grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    assert grey.shape == (800, 1280)
    assert len(set(grey[200:700, 400:900].ravel())) > 100  # the radiograph, not an empty viewport
