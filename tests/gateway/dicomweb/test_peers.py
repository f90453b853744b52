"""Clients that others made store in the gateway: Orthanc's plugin, and dicomweb-client."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import failed, is_processed, stored
from tests.support.gateway import ROOT, LiveGateway
from tests.support.orthanc import Orthanc, running_orthanc

SAMPLES = sorted((ROOT / "tests/data/images").glob("kermany_*.dcm"))


def of_study(study: str, **attributes: object) -> Dataset:
    """A radiograph as a file that has been read."""
    image = radiograph(StudyInstanceUID=study, PatientID="P1", **attributes)
    return dcmread(io.BytesIO(file_of(image)))


@pytest.fixture(scope="module")
async def orthanc(
    gateway: LiveGateway, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    async with running_orthanc(folder, f"{gateway.url}/dicomweb") as orthanc:
        yield orthanc


async def test_orthanc_forwards_instances_and_its_job_succeeds(
    gateway: LiveGateway, orthanc: Orthanc
) -> None:
    study = generate_uid()
    files = [file_of(of_study(study)) for _ in range(12)]
    job = await orthanc.forward(*[await orthanc.keep(data) for data in files])
    assert job["State"] == "Success", job
    await is_processed(gateway.client, study, 12)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
async def test_orthanc_forwards_a_sample_in_its_transfer_syntax(
    gateway: LiveGateway, orthanc: Orthanc, sample: object
) -> None:
    data = ROOT.joinpath(str(sample)).read_bytes()
    job = await orthanc.forward(await orthanc.keep(data))
    assert job["State"] == "Success", job
    study = dcmread(io.BytesIO(data), stop_before_pixels=True).StudyInstanceUID
    assert (await gateway.client.get(f"/v1/studies/{study}")).is_success


async def test_orthanc_learns_of_an_instance_that_no_model_reads(orthanc: Orthanc) -> None:
    breast = of_study(generate_uid(), Modality="MG", BodyPartExamined="BREAST")
    job = await orthanc.forward(await orthanc.keep(file_of(breast)))
    assert job["State"] == "Failure", job


async def test_dicomweb_client_stores_and_reads_the_answer(gateway: LiveGateway) -> None:
    study = generate_uid()
    client = DICOMwebClient(f"{gateway.url}/dicomweb")
    good, bad = of_study(study), of_study(study, Modality="MG", BodyPartExamined="BREAST")
    for study_instance_uid in (None, study):
        answer = await asyncio.to_thread(
            client.store_instances, [good, bad], study_instance_uid=study_instance_uid
        )
        assert stored(answer) == [good.SOPInstanceUID]
        assert failed(answer) == [(bad.SOPInstanceUID, 0x0122)]
    await is_processed(gateway.client, study, 1)


async def test_dicomweb_client_learns_that_nothing_is_stored(gateway: LiveGateway) -> None:
    client = DICOMwebClient(f"{gateway.url}/dicomweb")
    with pytest.raises(requests.HTTPError, match="409"):
        await asyncio.to_thread(
            client.store_instances, [of_study(generate_uid())], study_instance_uid="1.2.3"
        )


async def test_dicomweb_client_searches_and_retrieves(gateway: LiveGateway) -> None:
    study = generate_uid()
    sent = of_study(study, PatientName="Client^Python")
    client = DICOMwebClient(f"{gateway.url}/dicomweb")
    await asyncio.to_thread(client.store_instances, [sent])
    await is_processed(gateway.client, study, 1)
    uids = (study, sent.SeriesInstanceUID, sent.SOPInstanceUID)
    [found] = await asyncio.to_thread(
        client.search_for_studies, search_filters={"StudyInstanceUID": study}
    )
    assert Dataset.from_json(found).PatientName == "Client^Python"
    [series] = await asyncio.to_thread(client.search_for_series, study)
    assert Dataset.from_json(series).SeriesInstanceUID == uids[1]
    [instance] = await asyncio.to_thread(client.search_for_instances, *uids[:2])
    assert Dataset.from_json(instance).SOPInstanceUID == uids[2]
    [metadata] = await asyncio.to_thread(client.retrieve_study_metadata, study)
    assert Dataset.from_json(metadata, lambda *_: b"").Rows == sent.Rows
    [whole] = await asyncio.to_thread(client.retrieve_study, study)
    assert whole == sent
    assert await asyncio.to_thread(client.retrieve_instance, *uids) == sent
    [frame] = await asyncio.to_thread(client.retrieve_instance_frames, *uids, [1])
    assert frame == sent.PixelData
    rendered = await asyncio.to_thread(
        client.retrieve_instance_rendered, *uids, media_types=("image/png",)
    )
    assert rendered.startswith(b"\x89PNG")
