"""Studies that are deleted, whatever state they are in."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import (
    LiveGateway,
    brisk,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.models import flat_png
from tests.support.triton import running_triton


@pytest.fixture(scope="module")
async def own_triton(repository: Path) -> AsyncIterator[EmbeddedTriton]:
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture
async def gateway(own_triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    settings = settings_for(own_triton.grpc_url, tmp_path / "store")
    async with running_gateway(brisk(settings)) as gateway:
        await until(gateway.is_ready)
        yield gateway


def left(gateway: LiveGateway) -> list[str]:
    """What is stored, but for what tells of a deletion and keeps its study closed for a while."""
    folder = gateway.settings.store.folder

    def closes(path: str) -> bool:
        is_document = path.startswith("results/") and path.endswith("/result.json")
        return is_document and json.loads((folder / path).read_bytes()).keys() == {
            "schema",
            "closing",
        }

    return [
        path
        for path in gateway.stored()
        if not path.startswith(("deleted/", "work/deletions/")) and not closes(path)
    ]


async def test_nothing_is_left_of_a_deleted_study_but_that_it_was(gateway: LiveGateway):
    client, document = gateway.client, metadata(patient_id="P-1")
    path = f"/v1/studies/{document['study_id']}"
    other = metadata(study_id=document["study_id"] + "0")  # begins with the other's name
    for sent in (document, other):
        answer = await client.post("/v1/studies", **multipart(sent, flat_png(1), flat_png(2)))
        assert answer.status_code == 200
    assert (await client.delete(path)).status_code == 204
    for again in (await client.get(path), await client.delete(path)):
        assert again.status_code == 410
        assert again.json()["type"] == "urn:radstream:problem:study-deleted"
    assert left(gateway)
    assert not [path for path in left(gateway) if f"/{document['study_id']}/" in path]
    assert (await client.get(f"{path}0")).json()["status"] == "completed"
    page = (await client.get("/v1/studies")).json()
    assert [item["study_id"] for item in page["studies"]] == [other["study_id"]]
    assert await gateway.metric("radstream_studies_deleted_total", reason="request") == 1


async def test_study_nobody_sent_cannot_be_deleted(gateway: LiveGateway):
    assert (await gateway.client.delete("/v1/studies/nobody")).status_code == 404


async def test_study_that_is_read_meanwhile_is_taken_back(
    gateway: LiveGateway, own_triton: EmbeddedTriton
):
    client, document = gateway.client, metadata()
    path = f"/v1/studies/{document['study_id']}"
    await client.post("/v1/studies", **multipart(document, flat_png(1)))
    with suspended(own_triton):
        sending = asyncio.create_task(
            client.post("/v1/studies", **multipart(document, flat_png(2)))
        )

        async def is_read() -> bool:
            return await gateway.metric("radstream_studies_in_flight") == 1

        await until(is_read)
        assert (await client.delete(path)).status_code == 204
        # At once: one that wrote before it looked could outlast the deletion.
        closed = await client.post("/v1/studies", **multipart(document, flat_png(3)))
        assert closed.status_code == 409
        assert closed.json()["type"] == "urn:radstream:problem:study-being-deleted"
    assert (await sending).status_code == 409
    await until(lambda: left(gateway) == [])  # other writes of the gateway go on


async def test_pending_study_is_cancelled(gateway: LiveGateway, own_triton: EmbeddedTriton):
    client, document = gateway.client, metadata()
    path = f"/v1/studies/{document['study_id']}"
    with suspended(own_triton):
        answer = await client.post(
            "/v1/studies",
            headers={"Prefer": "respond-async"},
            **multipart(document, flat_png(1)),
        )
        assert answer.status_code == 202
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 410
    await until(lambda: left(gateway) == [])
    assert (await client.get(path)).status_code == 410


async def test_deletion_ends_and_the_id_can_be_used_again(
    own_triton: EmbeddedTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.app.lifespan.storage.CLOCK_SKEW_S", 0.0)
    settings = settings_for(own_triton.grpc_url, tmp_path / "store")
    http = HttpSettings(port=0, request_timeout_s=1.0)
    async with running_gateway(brisk(settings, http=http)) as gateway:
        await until(gateway.is_ready)
        client, document = gateway.client, metadata()
        path = f"/v1/studies/{document['study_id']}"
        sent = multipart(document, flat_png(1))
        assert (await client.post("/v1/studies", **sent)).status_code == 200
        assert (await client.delete(path)).status_code == 204
        await until(lambda: all(item.startswith("deleted/") for item in gateway.stored()))

        async def is_open() -> bool:
            return (await client.post("/v1/studies", **sent)).status_code == 200

        await until(is_open)
        assert (await client.get(path)).json()["status"] == "completed"
        [tombstone] = [item for item in gateway.stored() if item.startswith("deleted/")]
        text = (settings.store.folder / tombstone).read_text()
        assert document["study_id"] not in tombstone + text
