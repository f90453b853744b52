"""Studies in lists and on pages of their own, with their pictures and files."""

import datetime as dt
import json
import re

import pytest

from gateway.console.routes.studies import is_positive
from gateway.errors import DeliveryRefusedError
from gateway.problems import problem_of
from gateway.results.documents import DeliveryItem
from gateway.schemas.result import DeliveryState, ImageResult, RenderingKind
from tests.gateway.console.conftest import listed
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, store
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png
from tests.support.studies import image, reading

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


async def sent(console: LiveGateway, *levels: int, **attributes: str) -> str:
    document = metadata(**attributes)
    images = [flat_png(level) for level in levels]
    answer = await console.client.post("/v1/studies", **multipart(document, *images))
    assert answer.status_code == 200
    study_id: str = document["study_id"]
    return study_id


async def test_a_study_is_found_and_shown_with_what_it_says(console: LiveGateway):
    study_id = await sent(console, 255, accession_number="ACC-17", patient_id="P-17")
    for key in (study_id, "ACC-17", "P-17"):
        answer = await listed(console, f"q={key}", 1)
        assert f'href="/console/studies/{study_id}"' in answer.text
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    for words in ("completed", "positive", "98.2", "ACC-17", "P-17", "Threshold"):
        assert words in page


async def test_filters_narrow_the_list(console: LiveGateway):
    dark = await sent(console, 10, accession_number="FILTER")
    bright = await sent(console, 250, accession_number="FILTER")
    await listed(console, "q=FILTER", 2)
    answer = await listed(console, "q=FILTER&label=bright", 1)
    assert bright in answer.text
    assert dark not in answer.text


@pytest.mark.parametrize("query", ["from=yesterday", "state=lost", "cursor=x"])
async def test_a_search_that_says_nothing_is_told_in_the_page(console: LiveGateway, query: str):
    answer = await console.client.get(f"/console/studies?{query}")
    assert answer.status_code == 422
    assert "This part of the search cannot be understood" in answer.text


async def test_an_empty_search_says_what_to_do_next(console: LiveGateway):
    answer = await console.client.get("/console/studies?q=no-such-patient")
    assert "Identifiers are matched whole" in answer.text


async def test_the_image_with_a_finding_is_shown_first(console: LiveGateway):
    study_id = await sent(console, 10, 250)
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    assert f"/console/studies/{study_id}/images/2/preview.png" in page
    page = (await console.client.get(f"/console/studies/{study_id}?image=1")).text
    assert f"/console/studies/{study_id}/images/1/preview.png" in page
    assert (await console.client.get(f"/console/studies/{study_id}?image=3")).status_code == 404


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


async def test_text_of_senders_is_text_alone(console: LiveGateway):
    document = metadata(accession_number=HOSTILE[:16], patient_id=HOSTILE[:64])
    document["note"] = HOSTILE
    answer = await console.client.post("/v1/studies", **multipart(document, flat_png(250)))
    assert answer.status_code == 200, json.dumps(answer.json())
    for path in (
        f"/console/studies/{document['study_id']}",
        f"/console/studies?q={document['study_id']}",
    ):
        page = (await console.client.get(path)).text
        assert "<script>alert" not in page
        assert "onerror=alert" not in page.replace("&lt;img src=x onerror=alert", "")
        assert "&lt;script&gt;alert(1)" in page
    echoed = await console.client.get("/console/studies", params={"q": HOSTILE, "sender": HOSTILE})
    assert "<script>alert" not in echoed.text


async def test_what_became_of_deliveries_is_told(console: LiveGateway):
    study_id = await sent(console, 250)
    item = DeliveryItem(
        id="20260131T120000000001Z-e07bf0ecb960",
        destination="pacs-7",
        rendering=RenderingKind.STRUCTURED_REPORT,
        revision="r",
        at=dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC),
        state=DeliveryState.PARKED,
        problem=problem_of(DeliveryRefusedError("it answered with status 0122")),
    )
    path = console.settings.store.folder / f"results/{study_id}/result.json"
    document = json.loads(path.read_text())
    document["record"]["deliveries"] = [item.model_dump(mode="json", exclude_none=True)]
    path.write_text(json.dumps(document))
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    for words in ("pacs-7", "DICOM structured report", "parked", "Result refused", "status 0122"):
        assert words in page


def test_an_image_is_positive_by_any_of_its_readings():
    dark = reading(0.1)
    bright = reading(0.9, version="2")
    assert not is_positive(ImageResult.model_validate(image(1, dark)))
    assert is_positive(ImageResult.model_validate(image(1, dark, bright)))
