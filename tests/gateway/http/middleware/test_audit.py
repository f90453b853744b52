"""Who did what to which study is on record before it is answered."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.access.callers import Scope
from gateway.errors import MissingHalfError
from gateway.problems import problem_of
from gateway.schemas.parked import Half, ParkedItem
from gateway.settings import AccessSettings, HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    metric,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png


@pytest.fixture(scope="module")
async def audited(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway whose client has a key for studies."""
    folder = tmp_path_factory.mktemp("audited")
    scopes = (Scope.STUDIES_READ, Scope.STUDIES_WRITE, Scope.OPERATE)
    key, _ = add_key(folder / "keys", "ris", *scopes)
    settings = settings_for(triton.grpc_url, folder / "store").model_copy(
        update={"access": AccessSettings(key_file=folder / "keys", metrics_open=True)}
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        gateway.client.headers["X-API-Key"] = key
        yield gateway


def last(gateway: LiveGateway) -> dict[str, Any]:
    return audit_trail(gateway.settings)[-1]


async def test_sending_and_looking_are_on_record_with_who_and_which(audited: LiveGateway):
    sent = await audited.client.post("/v1/studies", **multipart(metadata(), flat_png(200)))
    study_id = sent.json()["study_id"]
    record = last(audited)
    assert record["schema"] == "radstream.audit/1"
    assert record["agent"] == {"kind": "key", "name": "ris"}
    assert (record["operation"], record["action"]) == ("POST /v1/studies", "C")
    assert (record["outcome"], record["status"]) == ("success", 200)
    assert record["studies"] == [study_id]
    assert record["address"] == "127.0.0.1"
    assert record["request_id"] == sent.headers["x-request-id"]
    assert record["trace_id"] == sent.headers["traceparent"].split("-")[1]
    for path, route, image in [
        ("", "", None),
        ("/images/1/preview.png", "/images/{number}/preview.png", 1),
        ("/images/1/heatmap.png", "/images/{number}/heatmap.png", 1),
    ]:
        assert (await audited.client.get(f"/v1/studies/{study_id}{path}")).status_code == 200
        record = last(audited)
        assert record["operation"] == f"GET /v1/studies/{{study_id}}{route}"
        assert (record["action"], record.get("image")) == ("R", image)
        assert record["studies"] == [study_id]


async def test_a_study_that_is_read_later_is_on_record_twice_under_one_request(
    audited: LiveGateway,
):
    sent = await audited.client.post(
        "/v1/studies", headers={"Prefer": "respond-async"}, **multipart(metadata(), flat_png(7))
    )
    assert sent.status_code == 202
    study_id = sent.json()["study_id"]

    def of_study() -> list[dict[str, Any]]:
        return [record for record in audit_trail(audited.settings) if study_id in record["studies"]]

    await until(lambda: len(of_study()) == 2)
    accepted, read = sorted(of_study(), key=lambda record: record["action"])
    assert (accepted["operation"], accepted["status"]) == ("POST /v1/studies", 202)
    assert (read["operation"], read["outcome"]) == ("pending study: read", "success")
    assert read["agent"] == {"kind": "gateway", "name": "gateway"}
    assert read["request_id"] == accepted["request_id"] == sent.headers["x-request-id"]
    assert read["trace_id"] == accepted["trace_id"] == sent.headers["traceparent"].split("-")[1]


async def test_a_deletion_is_on_record(audited: LiveGateway):
    sent = await audited.client.post("/v1/studies", **multipart(metadata(), flat_png(8)))
    study_id = sent.json()["study_id"]
    assert (await audited.client.delete(f"/v1/studies/{study_id}")).is_success
    record = last(audited)
    assert (record["operation"], record["action"]) == ("DELETE /v1/studies/{study_id}", "D")
    assert (record["outcome"], record["studies"]) == ("success", [study_id])


async def test_what_is_done_with_a_parked_study_is_on_record(audited: LiveGateway):
    client = audited.client
    document = metadata(image_size={"width": 31, "height": 32})
    await client.post(
        "/v1/studies", headers={"Prefer": "respond-async"}, **multipart(document, flat_png(9))
    )
    path = f"/v1/studies/{document['study_id']}"

    async def is_parked() -> bool:
        return bool((await client.get(path)).json()["status"] == "failed")

    await until(is_parked)
    [failure] = (await client.get(path)).json()["failures"]
    assert (await client.delete(f"/v1/parked/{failure['parked']}")).status_code == 204
    record = last(audited)
    assert (record["operation"], record["action"]) == ("DELETE /v1/parked/{parked_id}", "D")
    assert record["studies"] == [document["study_id"]]


async def test_a_list_is_on_record_with_the_studies_it_shows(audited: LiveGateway):
    client = audited.client
    for study_id in ("listed-1", "listed-2"):
        await client.post("/v1/studies", **multipart(metadata(study_id=study_id), flat_png(10)))
    answer = await client.get("/v1/studies", params={"after": "listed-1", "limit": 1})
    assert [study["study_id"] for study in answer.json()["studies"]] == ["listed-2"]
    record = last(audited)
    assert (record["operation"], record["action"]) == ("GET /v1/studies", "R")
    assert record["studies"] == ["listed-2"]


async def test_parked_items_are_on_record_with_their_studies(audited: LiveGateway):
    """A file of the drop folder tells by its folder whose it is; one outside of any does not."""
    keys = ["parked-1/a.png", "b.png", "not a study/c.png", "results/parked-2/callbacks/x"]
    for number, key in enumerate(keys):
        item = ParkedItem(
            id=f"{number:032x}",
            parked_at=dt.datetime.now(dt.UTC),
            half=None if key.startswith("results/") else Half.IMAGE,
            key=key,
            problem=problem_of(MissingHalfError("sidecar", 1)),
        )
        file = audited.settings.store.folder / "parked" / f"{item.id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(item.model_dump_json(by_alias=True, exclude_none=True))
    answer = await audited.client.get("/v1/parked")
    assert len(answer.json()["parked"]) == len(keys)
    record = last(audited)
    assert (record["operation"], record["action"]) == ("GET /v1/parked", "R")
    assert record["studies"] == ["parked-1", "parked-2"]
    for number, studies in enumerate([["parked-1"], [], [], ["parked-2"]]):
        answer = await audited.client.delete(f"/v1/parked/{number:032x}")
        assert (answer.status_code, last(audited)["studies"]) == (204, studies)


async def test_what_fails_is_on_record_too(audited: LiveGateway):
    document = metadata(view="UP")
    await audited.client.post("/v1/studies", **multipart(document, flat_png(1)))
    record = last(audited)
    assert (record["outcome"], record["status"]) == ("failed", 422)
    assert record["studies"] == [document["study_id"]]
    await audited.client.get("/v1/studies/none")
    assert (last(audited)["outcome"], last(audited)["status"]) == ("failed", 404)
    await audited.client.get("/v1/studies/Mustermann^Erika")
    assert (last(audited)["status"], last(audited)["studies"]) == (422, [])


async def test_who_is_refused_is_on_record(audited: LiveGateway):
    event = b"{}"
    await audited.client.post("/v1/events/s3", content=event)
    record = last(audited)
    assert (record["outcome"], record["status"]) == ("refused", 403)
    assert record["agent"]["name"] == "ris"
    await audited.client.get("/v1/studies", headers={"X-API-Key": "guess"})
    record = last(audited)
    assert (record["outcome"], record["status"]) == ("refused", 401)
    assert "agent" not in record


async def test_what_tells_of_no_study_is_not(audited: LiveGateway):
    before = len(audit_trail(audited.settings))
    for path in ("/livez", "/readyz", "/metrics", "/v1/models", "/docs", "/none"):
        await audited.client.get(path)
    assert len(audit_trail(audited.settings)) == before


async def test_what_is_not_on_record_is_not_answered(audited: LiveGateway):
    sent = await audited.client.post("/v1/studies", **multipart(metadata(), flat_png(9)))
    path = f"/v1/studies/{sent.json()['study_id']}"
    folder = audited.settings.audit.folder
    kept = folder.rename(folder.with_name("kept"))
    folder.write_text("")  # a file where the folder was: nothing can be written there
    for file in kept.iterdir():
        file.unlink()  # a trail that somebody removed is begun anew
    try:
        for _ in range(2):
            answer = await audited.client.get(path)
            assert answer.status_code == 503
            assert answer.json()["type"].endswith(":audit-unavailable")
            assert answer.headers["retry-after"] == "5"
            assert "images" not in answer.text
        text = (await audited.client.get("/metrics")).text
        assert metric(text, "radstream_audit_failures_total") == 2
    finally:
        folder.unlink()
    assert (await audited.client.get(path)).status_code == 200
    assert last(audited)["studies"] == [sent.json()["study_id"]]


async def test_a_trusted_proxy_says_where_a_request_came_from(tmp_path: Path):
    (tmp_path / "keys").write_text('{"keys":[]}')
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    for proxies, address, security in [
        (("127.0.0.0/8",), "192.0.2.7", "max-age=31536000"),
        (("198.51.100.1",), "127.0.0.1", None),
        ((), "127.0.0.1", None),
    ]:
        settings = settings_for("127.0.0.1:1", tmp_path / "store").model_copy(
            update={
                "access": AccessSettings(key_file=tmp_path / "keys"),
                "http": HttpSettings(port=0, trusted_proxies=proxies),
            }
        )
        async with running_gateway(settings) as gateway:
            answer = await gateway.client.get("/v1/studies", headers=forwarded)
        assert answer.headers.get("strict-transport-security") == security
        assert last(gateway)["address"] == address


def test_the_trail_is_its_owners_alone(audited: LiveGateway):
    folder = audited.settings.audit.folder
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
