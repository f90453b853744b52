"""Pictures and files of a study are those of the API."""

import re

from tests.gateway.console.conftest import listed, sent
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, store
from tests.support.gateway import LiveGateway


async def test_pictures_and_files_are_those_of_the_api(console: LiveGateway):
    study_id = await sent(console, 250)
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    paths = re.findall(r'(?:src|data-heat)="(/console/studies/[^"]+)"', page)
    assert len(paths) == 2
    for path in paths:
        plain = path.replace("&amp;", "&")
        picture = await console.client.get(plain)
        assert picture.headers["content-type"] == "image/png"
        same = await console.client.get(plain.replace("/console/", "/v1/"))
        assert picture.content == same.content
    result = await console.client.get(f"/console/studies/{study_id}/result.json")
    assert result.json() == (await console.client.get(f"/v1/studies/{study_id}")).json()
    assert result.headers["content-disposition"] == f'attachment; filename="{study_id}.json"'
    bundle = await console.client.get(f"/console/studies/{study_id}/report.fhir.json")
    assert bundle.json()["resourceType"] == "Bundle"
    message = await console.client.get(f"/console/studies/{study_id}/report.hl7")
    assert message.content.startswith(b"MSH|")


async def test_a_dicom_study_has_its_report(console: LiveGateway):
    instance = radiograph(PatientID="P-18", AccessionNumber="ACC-18")
    assert (await store(console.client, file_of(instance))).status_code == 200
    await is_processed(console.client, instance.StudyInstanceUID, 1)
    answer = await listed(console, "q=ACC-18", 1)
    [study_id] = re.findall(r'href="/console/studies/([^"]+)"', answer.text)
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    assert "report.dcm" in page
    report = await console.client.get(f"/console/studies/{study_id}/report.dcm")
    assert report.content[128:132] == b"DICM"
    pictures = re.findall(r'href="([^"]+/heatmap.dcm)"', page)
    assert pictures == [f"/console/studies/{study_id}/images/1/heatmap.dcm"]
    picture = await console.client.get(pictures[0])
    assert picture.content[128:132] == b"DICM"
    assert picture.headers["content-disposition"] == f'attachment; filename="{study_id}-1.dcm"'
