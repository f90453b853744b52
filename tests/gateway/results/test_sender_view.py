"""Answers to a caller who may send and not read: its own images, whoever's study they join."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.access.callers import Scope
from gateway.settings import AccessSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until
from tests.support.models import flat_png

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
async def keyed(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str], dict[str, str]]]:
    """A client, and the header fields of a ward that reads and of a sender that does not."""
    folder = tmp_path_factory.mktemp("senders")
    ward, _ = add_key(folder / "keys.json", "ward", Scope.STUDIES_WRITE, Scope.STUDIES_READ)
    sender, _ = add_key(folder / "keys.json", "sender", Scope.STUDIES_WRITE)
    access = AccessSettings(key_file=folder / "keys.json")
    settings = settings_for(triton.grpc_url, folder / "store")
    async with running_gateway(settings.model_copy(update={"access": access})) as gateway:
        await until(gateway.is_ready)
        yield gateway.client, {"X-API-Key": ward}, {"X-API-Key": sender}


async def sent(
    client: httpx.AsyncClient, document: dict[str, Any], *images: bytes, **headers: str
) -> dict[str, Any]:
    answer = await client.post("/v1/studies", **multipart(document, *images), headers=headers)
    assert answer.is_success, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def test_sender_is_answered_with_its_own_images_alone(
    keyed: tuple[httpx.AsyncClient, dict[str, str], dict[str, str]],
):
    client, ward, sender = keyed
    document = metadata(patient_id="P-1", ward="of the first")
    whole = await sent(client, document, flat_png(10), b"no image", **ward)
    assert (whole["status"], len(whole["images"])) == ("partial", 1)
    joining = {"study_id": document["study_id"], "view": "AP", "timestamp": document["timestamp"]}

    own = await sent(client, joining, flat_png(20), **sender)
    assert [image["number"] for image in own["images"]] == [2]
    assert (own["status"], own["warnings"], "not_processed" in own) == ("completed", [], False)
    [image] = own["images"]
    assert own["received_at"] == image["received_at"]

    again = await sent(client, joining, flat_png(20), **sender)
    assert again["images"] == own["images"]
    mine = await sent(client, joining, flat_png(30), b"no image either", **sender)
    assert (mine["status"], [image["number"] for image in mine["images"]]) == ("partial", [3])
    assert [item["part"] for item in mine["not_processed"]] == ["image[1]"]

    read = await client.get(f"/v1/studies/{document['study_id']}", headers=ward)
    assert [image["number"] for image in read.json()["images"]] == [1, 2, 3]
    everything = await sent(client, joining, flat_png(40), **ward)
    assert [image["number"] for image in everything["images"]] == [1, 2, 3, 4]


async def test_sender_is_told_of_its_own_submission_alone(
    keyed: tuple[httpx.AsyncClient, dict[str, str], dict[str, str]],
):
    client, ward, sender = keyed
    document = metadata(patient_id="P-2")
    await sent(client, document, flat_png(10), b"no image", **ward)
    joining = {"study_id": document["study_id"], "view": "AP", "timestamp": document["timestamp"]}
    own = await sent(client, joining, flat_png(50), flat_png(60), **ASYNC, **sender)
    assert (own["status"], own["images"], own["warnings"]) == ("pending", [], [])
    assert [item["images"] for item in own["pending"]] == [2]
    assert own["received_at"] == own["pending"][0]["received_at"]
    assert {"not_processed", "failures", "completion", "deliveries"}.isdisjoint(own)
