"""A live gateway over documents of a later version, and over damaged ones."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import png

FUTURE = {"from_the_future": {"nested": [1]}}


def striped(level: int) -> bytes:
    """A picture of this mean level, its upper half darker than its lower one."""
    samples = np.full((32, 32), level - 30, np.uint8)
    samples[16:] += 60
    return png(samples)


def folder_of(gateway: LiveGateway, study_id: str) -> Path:
    return gateway.settings.store.folder / "results" / study_id


def links_of(study: dict[str, Any]) -> tuple[str, str]:
    """Paths of the pictures of a study's first image."""
    image = study["images"][0]
    return image["readings"][0]["heatmap"], image["preview"]


def add_future(value: Any) -> Any:
    """Every object gets the field, maps too; but what the sender wrote is the sender's."""
    if isinstance(value, list):
        return [add_future(item) for item in value]
    if isinstance(value, dict):
        return {
            name: item if name == "metadata" else add_future(item) for name, item in value.items()
        } | FUTURE
    return value


async def test_study_of_a_later_version_is_read_shown_and_grows(gateway: LiveGateway):
    document = metadata(patient_id="P1")
    study_id = document["study_id"]
    first = (await gateway.client.post("/v1/studies", **multipart(document, striped(40)))).json()
    [path] = folder_of(gateway, study_id).rglob("*.json")
    path.write_text(json.dumps(add_future(json.loads(path.read_text()))))
    answer = await gateway.client.get(f"/v1/studies/{study_id}")
    assert (answer.status_code, answer.json()) == (200, first)
    for link in links_of(first):
        assert (await gateway.client.get(link)).status_code == 200
    again = await gateway.client.post("/v1/studies", **multipart(document, striped(40)))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    grown = await gateway.client.post("/v1/studies", **multipart(document, striped(90)))
    assert (grown.status_code, len(grown.json()["images"])) == (200, 2)


async def test_missing_image_of_a_reading_is_told(gateway: LiveGateway):
    sent = multipart(metadata(), striped(40))
    study = (await gateway.client.post("/v1/studies", **sent)).json()
    [image] = folder_of(gateway, study["study_id"]).glob("images/*/image-*.png")
    image.unlink()
    for link in links_of(study):
        answer = await gateway.client.get(link)
        told(answer, f"results/*/images/{image.parent.name}/{image.name}")
        assert "the image is missing" in answer.json()["detail"]


def told(answer: httpx.Response, place: str) -> None:
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:radstream:problem:document-unreadable"
    assert place in answer.json()["detail"]


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xd8 garbage", b"{}", b"[]", b'{"schema": "radstream.result/2"}']
)
async def test_damaged_document_is_told_and_costs_no_other_study(
    gateway: LiveGateway, damage: bytes
):
    document, other = metadata(patient_id="P1"), metadata()
    study_id = document["study_id"]
    sent = multipart(document, striped(40))
    study = (await gateway.client.post("/v1/studies", **sent)).json()
    await gateway.client.post("/v1/studies", **multipart(other, striped(40)))
    stored = folder_of(gateway, study_id) / "result.json"
    path, place = f"/v1/studies/{study_id}", "results/*/result.json"

    whole = stored.read_bytes()
    stored.write_bytes(damage)
    for link in (path, *links_of(study)):
        told(await gateway.client.get(link), place)
    page = (await gateway.client.get("/v1/studies", params={"limit": 200})).json()
    [unreadable] = [item for item in page["unreadable"] if item["study_id"] == study_id]
    assert unreadable["problem"]["type"] == "urn:radstream:problem:document-unreadable"
    listed = {item["study_id"] for item in page["studies"]}
    assert other["study_id"] in listed
    assert study_id not in listed
    for image in (striped(40), striped(90)):  # nothing is written over what may be restored
        told(await gateway.client.post("/v1/studies", **multipart(document, image)), place)
    assert stored.read_bytes() == damage

    stored.write_bytes(whole)
    assert (await gateway.client.get(path)).json() == study
    grown = await gateway.client.post("/v1/studies", **multipart(document, striped(90)))
    assert len(grown.json()["images"]) == 2
