"""Reports and heat maps beside what was stored, as clients of others, a PACS and a viewer do."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage, generate_uid

from gateway.settings import CompletionSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.dicomweb.test_javascript_peers import OHIF, PEERS, SAMPLE, run
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import store
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    brisk,
    running_gateway,
    settings_for,
    until,
)
from tests.support.orthanc import running_orthanc

ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture(scope="module")
async def gateway(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway whose studies are complete after a second."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("store"))
    async with running_gateway(
        brisk(settings, completion=CompletionSettings(quiet_s=1))
    ) as gateway:
        await until(gateway.is_ready)
        yield gateway


async def is_complete(client: httpx.AsyncClient, study: str) -> None:
    """Return once the study is complete."""

    async def has_ended() -> bool:
        view = (await client.get(f"/v1/studies/{study}")).json()
        return bool(view.get("completion", {}).get("completed_at"))

    await until(has_ended)


async def complete_study(client: httpx.AsyncClient, **attributes: object) -> Dataset:
    """The one image of a study that is complete."""
    image = radiograph(**{"PatientID": "P-7", "PatientName": "Doe^Ann"} | attributes)
    assert (await store(client, file_of(image))).status_code == 200
    await is_complete(client, image.StudyInstanceUID)
    return image


async def test_dicomweb_client_finds_and_retrieves_report_and_heat_map(
    gateway: LiveGateway,
) -> None:
    study = (await complete_study(gateway.client)).StudyInstanceUID
    client = DICOMwebClient(f"{gateway.url}/dicomweb")
    [found] = await asyncio.to_thread(
        client.search_for_studies, search_filters={"StudyInstanceUID": study}
    )
    assert Dataset.from_json(found).ModalitiesInStudy == ["DX", "SR", "OT"]
    series = await asyncio.to_thread(client.search_for_series, study)
    by_modality = {each.Modality: each.SeriesInstanceUID for each in map(Dataset.from_json, series)}
    [report] = await asyncio.to_thread(client.retrieve_series, study, by_modality["SR"])
    [heat_map] = await asyncio.to_thread(client.retrieve_series, study, by_modality["OT"])
    assert report.SOPClassUID == Comprehensive3DSRStorage
    assert heat_map.SOPClassUID == SecondaryCaptureImageStorage
    shown = (await gateway.client.get(f"/v1/studies/{study}/report.dcm")).content
    assert dcmread(io.BytesIO(shown)) == report
    place = (study, by_modality["OT"], heat_map.SOPInstanceUID)
    [frame] = await asyncio.to_thread(client.retrieve_instance_frames, *place, frame_numbers=[1])
    assert np.array_equal(np.frombuffer(frame, np.uint8), heat_map.pixel_array.ravel())
    rendered = await asyncio.to_thread(
        client.retrieve_instance_rendered, *place, media_types=("image/png",)
    )
    drawn = cv2.imdecode(np.frombuffer(rendered, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(drawn[..., ::-1], heat_map.pixel_array)
    whole = await asyncio.to_thread(client.retrieve_study, study)
    assert {each.Modality for each in whole} == {"DX", "SR", "OT"}


async def test_orthanc_retrieves_a_study_with_its_results(
    gateway: LiveGateway, tmp_path: Path
) -> None:
    study = (await complete_study(gateway.client)).StudyInstanceUID
    (tmp_path / "storage").mkdir()
    async with running_orthanc(tmp_path, f"{gateway.url}/dicomweb") as pacs:
        asked = {"Uri": f"/studies/{study}/series", "Arguments": {"Modality": "SR"}}
        answer = await pacs.client.post("/dicom-web/servers/radstream/qido", json=asked)
        assert answer.is_success, answer.text
        assert len(answer.json()) == 1
        wanted = {"Resources": [{"Study": study}], "Synchronous": True}
        answer = await pacs.client.post("/dicom-web/servers/radstream/retrieve", json=wanted)
        assert answer.is_success, answer.text
        for modality in ("DX", "SR", "OT"):
            assert await pacs.instances(study, modality) == 1


async def test_results_go_on_the_audit_trail_and_away_with_their_study(
    gateway: LiveGateway,
) -> None:
    client = gateway.client
    study = (await complete_study(client)).StudyInstanceUID
    answer = await client.get(f"/dicomweb/studies/{study}/instances?Modality=SR")
    [report] = map(Dataset.from_json, answer.json())
    path = f"/dicomweb/studies/{study}/series/{report.SeriesInstanceUID}"
    for more in ("", f"/instances/{report.SOPInstanceUID}", "/metadata"):
        headers = {} if more == "/metadata" else {"Accept": ANY_SYNTAX}
        assert (await client.get(f"{path}{more}", headers=headers)).is_success
    rendered = await client.get(f"{path}/instances/{report.SOPInstanceUID}/rendered")
    assert rendered.status_code == 404  # it has no picture
    retrievals = [
        record
        for record in audit_trail(gateway.settings)
        if record["operation"].startswith("GET /dicomweb/studies/{study_instance_uid}/series/")
        and study in record["studies"]
    ]
    assert len(retrievals) >= 3
    assert (await client.delete(f"/v1/studies/{study}")).status_code == 204
    assert (await client.get(path, headers={"Accept": ANY_SYNTAX})).status_code == 404
    assert (await client.get(f"/dicomweb/studies/{study}/instances")).json() == []


async def test_a_late_instance_brings_a_successor(gateway: LiveGateway) -> None:
    client, study = gateway.client, generate_uid()
    await complete_study(client, StudyInstanceUID=study)
    path = f"/dicomweb/studies/{study}/instances?Modality=SR"
    [before] = (await client.get(path)).json()
    late = radiograph(StudyInstanceUID=study, PatientID="P-7")
    assert (await store(client, file_of(late))).status_code == 200

    async def has_another() -> bool:
        found = (await client.get(path)).json()
        return bool(found) and found != [before]

    await until(has_another)
    [after] = (await client.get(path)).json()
    assert after["00080018"] != before["00080018"]
    assert len((await client.get(f"/dicomweb/studies/{study}/instances?Modality=OT")).json()) == 2


def with_a_bright_spot(image: FileDataset) -> bytes:
    """The file of a radiograph that is bright altogether, and most of all around one place."""
    samples = image.pixel_array * 0.75
    rows, columns = np.mgrid[: image.Rows, : image.Columns]
    samples += 90 * np.exp(-((rows - 450) ** 2 + (columns - 1000) ** 2) / (2 * 110**2))
    image.set_pixel_data(np.minimum(samples, 255).astype(np.uint8), "MONOCHROME2", 8)
    image.WindowCenter, image.WindowWidth = 85, 170
    file = io.BytesIO()
    image.save_as(file)
    return file.getvalue()


@pytest.mark.timeout(600)  # a browser that draws without a graphics card
async def test_ohif_shows_the_mark_and_the_heat_map(gateway: LiveGateway, tmp_path: Path) -> None:
    data = with_a_bright_spot(dcmread(SAMPLE))
    study = dcmread(io.BytesIO(data), stop_before_pixels=True).StudyInstanceUID
    assert (await store(gateway.client, data)).status_code == 200
    await is_complete(gateway.client, study)
    [image] = (await gateway.client.get(f"/v1/studies/{study}")).json()["images"]
    assert image["readings"][0]["findings"][0]["positive"]  # else there is no mark
    radiograph_, mark, heat_map = (tmp_path / f"{name}.png" for name in ("study", "mark", "map"))
    await run(
        *(str(PEERS / "viewer.js"), f"{gateway.url}/dicomweb", str(OHIF), study, str(radiograph_)),
        *("AI results, not reviewed", "mark", str(mark)),
        *("Heat maps of brightness 1, not reviewed", "colour", str(heat_map)),
    )
    viewport = np.s_[160:740, 300:1230]
    blue, green, red = np.moveaxis(cv2.imread(str(mark))[viewport].astype(int), -1, 0)
    assert np.sum((green > 200) & (red < 60) & (blue < 60)) > 100  # an arrow and its words
    blue, green, red = np.moveaxis(cv2.imread(str(heat_map))[viewport].astype(int), -1, 0)
    assert np.sum(red - blue > 60) > 5000  # the evidence over a grey picture
