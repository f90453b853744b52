"""The page of a study: its images and readings, its way, judgements, and its audit trail."""

import datetime as dt
import json
import re

import pytest

from gateway.access.callers import Scope
from gateway.console.routes.study import is_positive
from gateway.errors import DeliveryRefusedError
from gateway.problems import problem_of
from gateway.results.documents import DeliveryItem
from gateway.schemas.result import DeliveryState, ImageResult, RenderingKind
from tests.gateway.console.conftest import KeyedConsole, sent
from tests.support.gateway import LiveGateway, audit_trail, client_of, metadata, multipart
from tests.support.models import flat_png
from tests.support.studies import image, reading


async def test_the_image_with_a_finding_is_shown_first(console: LiveGateway):
    study_id = await sent(console, 10, 250)
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    assert f"/console/studies/{study_id}/images/2/preview.png" in page
    page = (await console.client.get(f"/console/studies/{study_id}?image=1")).text
    assert f"/console/studies/{study_id}/images/1/preview.png" in page
    assert (await console.client.get(f"/console/studies/{study_id}?image=3")).status_code == 404


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
    for words in ("pacs-7", "DICOM structured report", "parked", "Result parked", "status 0122"):
        assert words in page


def test_an_image_is_positive_by_any_of_its_readings():
    dark = reading(0.1)
    bright = reading(0.9, version="2")
    assert not is_positive(ImageResult.model_validate(image(1, dark)))
    assert is_positive(ImageResult.model_validate(image(1, dark, bright)))


async def test_the_way_of_a_study_is_told(console: LiveGateway):
    study_id = await sent(console, 250)
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    way = page[page.index('<ol class="way">') :]
    steps = re.findall(r"<h3>([^<]+)</h3>", way)
    assert steps == ["Received", "Rules", "Processed", "Completed", "Deliveries"]
    assert "No rules are set" in way
    assert "brightness 1 in" in way
    assert "Inference" in way
    assert 'href="/console/destinations/vna"' in way


def feedback(judgement: str, **changes: str) -> dict[str, str]:
    form = {"label": "bright", "model": "brightness", "version": "1", "image": "1"}
    return form | {"judgement": judgement} | changes


async def test_a_finding_is_judged_by_one_click_and_judged_anew(console: LiveGateway):
    study_id = await sent(console, 250)
    path = f"/console/studies/{study_id}"
    for judgement, told in (("disagree", "disagrees"), ("agree", "agrees")):
        answer = await console.client.post(f"{path}/feedback", data=feedback(judgement))
        assert answer.headers["location"] == f"{path}?image=1"
        page = (await console.client.get(path)).text
        assert f'value="{judgement}" aria-pressed="true"' in page
        assert page.count('name="judgement"') == 2 * page.count('class="judge"')
        assert page.count('aria-pressed="true">') == 1
        assert f">{told}</span>" in page
    [kept] = (await console.client.get(f"/v1/studies/{study_id}")).json()["feedback"]
    assert (kept["label"], kept["judgement"], kept["author"]) == ("bright", "agree", "anonymous")


async def test_labels_are_told_as_words(console: LiveGateway):
    study_id = await sent(console, 250)
    await console.client.post(f"/console/studies/{study_id}/feedback", data=feedback("agree"))
    path = console.settings.store.folder / f"results/{study_id}/result.json"
    path.write_text(path.read_text().replace('"label":"bright"', '"label":"lung_opacity"'))
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    assert "<strong>Suggests lung opacity</strong>" in page
    assert '<span class="unseen">: lung opacity</span>' in page
    assert "<span>lung opacity</span>" in page  # among the judgements


@pytest.mark.parametrize(
    "form",
    [feedback("perhaps"), feedback("agree", label="<b>"), feedback("agree", version="x"), {}],
)
async def test_a_judgement_that_is_none_is_a_page(console: LiveGateway, form: dict[str, str]):
    study_id = await sent(console, 250)
    answer = await console.client.post(f"/console/studies/{study_id}/feedback", data=form)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


async def test_who_may_not_judge_sees_no_buttons_and_is_refused(keyed: KeyedConsole):
    key, _ = keyed.key(*Scope)
    document = metadata()
    async with client_of(keyed.gateway.url) as client, keyed.signed_in(key):
        headers = {"X-API-Key": key}
        parts = multipart(document, flat_png(250))
        assert (await client.post("/v1/studies", headers=headers, **parts)).status_code == 200
    path = f"/console/studies/{document['study_id']}"
    reading_key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(reading_key) as client:
        page = (await client.get(path)).text
        assert "brightness" in page
        assert 'name="judgement"' not in page
        assert "/audit" not in page
        refused = await client.post(f"{path}/feedback", data=feedback("agree"))
        assert refused.status_code == 403
        assert (await client.get(f"{path}/audit")).status_code == 403


async def test_the_audit_trail_of_a_study_is_shown(console: LiveGateway):
    study_id = await sent(console, 250)
    other = await sent(console, 250)
    await console.client.get(f"/console/studies/{study_id}")
    page = (await console.client.get(f"/console/studies/{study_id}/audit")).text
    assert "POST /v1/studies" in page
    assert "GET /console/studies/{study_id}" in page
    assert "without a key" in page
    assert other not in page
    last = audit_trail(console.settings)[-1]
    assert last["operation"] == "GET /console/studies/{study_id}/audit"
    assert last["studies"] == [study_id]
    assert (await console.client.get("/console/studies/none/audit")).status_code == 404


async def test_a_model_that_is_not_applicable_stands_apart(console: LiveGateway):
    study_id = await sent(console, 250)
    path = console.settings.store.folder / f"results/{study_id}/result.json"
    document = json.loads(path.read_text())
    [made] = document["record"]["readings"]
    made["not_applicable"] = "<b>it is no chest</b>"
    for finding in made["frames"][0]["findings"]:
        del finding["positive"]
    path.write_text(json.dumps(document))
    page = (await console.client.get(f"/console/studies/{study_id}")).text
    assert 'class="chip apart">not applicable</span>' in page
    apart = page[page.index('class="apart"') :]
    assert "&lt;b&gt;it is no chest&lt;/b&gt;" in apart
    assert 'value="present"' in apart
    assert ">positive<" not in apart
