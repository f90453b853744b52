"""Reports of studies over HTTP."""

import io

import hl7
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import store
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png


async def test_a_studys_dicom_report(gateway: LiveGateway) -> None:
    original = radiograph(PatientID="P-8")
    sent = ("image", ("a.dcm", file_of(original), "application/dicom"))
    answer = await gateway.client.post("/v1/studies", files=[sent])
    assert answer.status_code == 200, answer.text
    path = f"/v1/studies/{answer.json()['study_id']}/report.dcm"
    answer = await gateway.client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    report = dcmread(io.BytesIO(answer.content))
    assert report.Modality == "SR"
    assert report.StudyInstanceUID == original.StudyInstanceUID
    assert report.PatientID == "P-8"
    assert (await gateway.client.get(path)).content == answer.content


async def test_a_heat_map_in_dicom(gateway: LiveGateway) -> None:
    original = radiograph(PatientID="P-8")
    sent = ("image", ("a.dcm", file_of(original), "application/dicom"))
    answer = await gateway.client.post("/v1/studies", files=[sent])
    path = f"/v1/studies/{answer.json()['study_id']}/images/1/heatmap"
    png = np.asarray(Image.open(io.BytesIO((await gateway.client.get(f"{path}.png")).content)))
    answer = await gateway.client.get(f"{path}.dcm")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    capture = dcmread(io.BytesIO(answer.content))
    assert capture.StudyInstanceUID == original.StudyInstanceUID
    assert np.array_equal(capture.pixel_array[: len(png)], png)
    assert (await gateway.client.get(f"{path}.dcm")).content == answer.content
    answer = await gateway.client.get(f"{path}.dcm", params={"label": "unknown"})
    assert answer.json()["type"] == "urn:radstream:problem:invalid-query"


async def test_what_was_made_of_a_study_is_not_processed_when_it_comes_back(
    gateway: LiveGateway,
) -> None:
    sent = ("image", ("a.dcm", file_of(radiograph()), "application/dicom"))
    study_id = (await gateway.client.post("/v1/studies", files=[sent])).json()["study_id"]
    path = f"/v1/studies/{study_id}"
    capture = (await gateway.client.get(f"{path}/images/1/heatmap.dcm")).content
    report = (await gateway.client.get(f"{path}/report.dcm")).content
    kinds = []
    for data in (capture, report):
        back = ("image", ("a.dcm", data, "application/dicom"))
        answer = await gateway.client.post("/v1/studies", files=[back])
        kinds.append(answer.json()["type"].rpartition(":")[2])
    assert kinds == ["kept-out", "unsupported-image"]
    answer = await store(gateway.client, capture, report)
    assert answer.status_code == 409
    failed = Dataset.from_json(answer.text).FailedSOPSequence
    assert len(failed) == 2
    result = (await gateway.client.get(path)).json()
    assert [image["number"] for image in result["images"]] == [1]


async def test_a_study_of_pictures_alone_has_no_dicom_report(gateway: LiveGateway) -> None:
    document = metadata()
    await gateway.client.post("/v1/studies", **multipart(document, flat_png(77)))
    answer = await gateway.client.get(f"/v1/studies/{document['study_id']}/report.dcm")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:radstream:problem:no-dicom-context"


async def test_a_studys_hl7_message(gateway: LiveGateway) -> None:
    document = metadata() | {"patient_id": "P|8"}
    await gateway.client.post("/v1/studies", **multipart(document, flat_png(78)))
    path = f"/v1/studies/{document['study_id']}/report.hl7"
    answer = await gateway.client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/hl7-v2"
    message = hl7.parse(answer.content, encoding="utf-8")
    assert message.unescape(str(message["PID"][0][3][0][0])) == "P|8"
    assert str(message["OBX"][0][3][0][1]) == "bright"
    assert (await gateway.client.get(path)).content == answer.content
    answer = await gateway.client.get("/v1/studies/unknown/report.hl7")
    assert answer.json()["type"] == "urn:radstream:problem:study-not-found"
