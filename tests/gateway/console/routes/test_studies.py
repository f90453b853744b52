"""Studies in lists, as a person searches for them."""

import datetime as dt
import json

import pytest

from tests.gateway.console.conftest import listed, sent
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


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


async def test_a_study_is_found_by_its_date(console: LiveGateway):
    today = dt.datetime.now(dt.UTC).date()
    before = today - dt.timedelta(days=2)
    made = await sent(console, 10, accession_number="DATED", study_date=f"{before:%Y%m%d}")
    other = await sent(console, 10, accession_number="DATED", study_date=f"{today:%Y%m%d}")
    await listed(console, "q=DATED", 2)
    page = (await listed(console, f"q=DATED&made={before}", 1)).text
    assert made in page
    assert other not in page
    page = (await console.client.get(f"/console/studies?made={before}")).text
    assert made in page
    assert other not in page
    assert f'name="made" type="date" value="{before}"' in page


@pytest.mark.parametrize("query", ["made=x", "from=yesterday", "state=lost", "cursor=x"])
async def test_a_search_that_says_nothing_is_told_in_the_page(console: LiveGateway, query: str):
    answer = await console.client.get(f"/console/studies?{query}")
    assert answer.status_code == 422
    assert "This part of the search cannot be understood" in answer.text


async def test_an_empty_search_says_what_to_do_next(console: LiveGateway):
    answer = await console.client.get("/console/studies?q=no-such-patient")
    assert "Identifiers are matched whole" in answer.text


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
