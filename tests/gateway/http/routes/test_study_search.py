"""The search over HTTP: its parameters, pages and problems, and what no log tells of it."""

import datetime as dt
import secrets
from typing import Any

import httpx
import pytest

from tests.support.gateway import LiveGateway, audit_trail, metadata, multipart, until
from tests.support.models import flat_png


async def send(client: httpx.AsyncClient, **fields: Any) -> str:
    document = metadata() | fields
    answer = await client.post("/v1/studies", **multipart(document, flat_png(1)))
    assert answer.status_code == 200, answer.text
    return str(document["study_id"])


async def search(client: httpx.AsyncClient, **query: Any) -> Any:
    answer = await client.get("/v1/studies", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [study["study_id"] for study in (await search(client, **query))["studies"]]


async def test_studies_of_a_modality_are_found_in_pages_newest_first(client: httpx.AsyncClient):
    sent = [await send(client, modality="CR") for _ in range(3)]

    async def are_found() -> bool:
        return await ids(client, modality="CR", limit=3) == sent[::-1]

    await until(are_found)
    page = await search(client, modality="CR", limit=2)
    today = dt.datetime.now(dt.UTC).date()
    begin = today - dt.timedelta(days=6)
    assert page["searched"] == {"from": begin.isoformat(), "to": today.isoformat()}
    assert [study["study_id"] for study in page["studies"]] == sent[:0:-1]
    following = (await client.get(page["next"])).json()
    assert following["studies"][0]["study_id"] == sent[0]
    assert following["searched"] == page["searched"]
    query = {"modality": ["CT", "CR"], "state": "completed", "sender": "anonymous", "limit": 3}
    assert await ids(client, **query) == sent[::-1]
    assert not await ids(client, modality="CT")
    assert not await ids(client, modality="CR", state=["failed", "partial"])
    assert not await ids(client, modality="CR", sender="pacs")
    assert not await ids(client, modality="CR", to=(begin - dt.timedelta(1)).isoformat())


async def test_study_is_found_by_patient_and_order_in_any_range(gateway: LiveGateway):
    client, patient_id, order = gateway.client, secrets.token_hex(8), secrets.token_hex(8)
    study_id = await send(client, patient_id=patient_id, accession_number=order)

    async def is_found() -> bool:
        return await ids(client, patient_id=patient_id) == [study_id]

    await until(is_found)
    page = await search(client, accession_number=order)
    assert "searched" not in page
    [study] = page["studies"]
    assert (study["patient_id"], study["accession_number"]) == (patient_id, order)
    assert study["href"] == f"/v1/studies/{study_id}"
    assert await ids(client, patient_id=patient_id, accession_number=order) == [study_id]
    assert not await ids(
        client, patient_id=patient_id, **{"from": "2000-01-01", "to": "2000-12-31"}
    )
    assert not await ids(client, patient_id=f"{patient_id}x")


async def test_search_terms_stand_in_no_log_and_no_key_and_studies_in_the_audit_trail(
    gateway: LiveGateway, capfd: pytest.CaptureFixture[str]
):
    patient_id = secrets.token_hex(8)
    study_id = await send(gateway.client, patient_id=patient_id)

    async def is_found() -> bool:
        return await ids(gateway.client, patient_id=patient_id) == [study_id]

    await until(is_found)
    written = capfd.readouterr()
    metrics = (await gateway.client.get("/metrics")).text
    for text in (written.out, written.err, metrics, *gateway.stored()):
        assert patient_id not in text
    records = [each for each in audit_trail(gateway.settings) if study_id in str(each)]
    assert records
    assert not [each for each in records if patient_id in str(each)]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from=31.1.2026", "query/from"),
        ("to=0", "query/to"),
        ("from=2026-02-01&to=2026-01-31", "query/to"),
        ("from=2024-01-01&to=2026-01-31", "query/from"),
        ("state=unknown", "query/state/0"),
        ("patient_id=", "query/patient_id"),
        ("cursor=x", "query/cursor"),
        ("cursor=20260131T120000000000.", "query/cursor"),
        ("after=S1&modality=DX", "query/after"),
        ("patientid=1", "query/patientid"),
    ],
)
async def test_parameters_that_are_wrong_are_told(
    client: httpx.AsyncClient, query: str, pointer: str
):
    answer = await client.get(f"/v1/studies?{query}")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:radstream:problem:invalid-query"
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert not fault["detail"].startswith("Value error")


async def test_time_in_place_of_a_day_is_told_in_words(client: httpx.AsyncClient):
    answer = await client.get("/v1/studies?from=2016-12-31T23:59:60Z")
    assert answer.json()["errors"] == [
        {"pointer": "query/from", "detail": "must be a date such as 2026-01-31"}
    ]


@pytest.mark.parametrize("query", ["to=0001-01-03", "from=9999-12-31", "to=9999-12-31"])
async def test_days_at_the_ends_of_the_calendar_hold_no_study(
    client: httpx.AsyncClient, query: str
):
    answer = await client.get(f"/v1/studies?{query}")
    assert answer.status_code == 200
    assert answer.json()["studies"] == []
