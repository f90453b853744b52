"""Reports of studies over HTTP."""

import io

import hl7
import numpy as np
from PIL import Image
from pydicom import dcmread

from tests.support.dicom import file_of, radiograph
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
