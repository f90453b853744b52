"""Studies that are answered before they are read, before a real Triton."""

import asyncio
import base64
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from gateway.delivery.webhook_client import signature
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.schemas.metadata import StudyMetadata
from gateway.settings import CallbackSettings
from gateway.storage.folder import FolderStore
from gateway.storage.layout import SUBMISSIONS
from gateway.triton.embedded import EmbeddedTriton
from gateway.work.keys import WorkId, entry_key, kept_folder
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
from tests.support.models import flat_png, png
from tests.support.receiver import Receiver, receiving
from tests.support.triton import running_triton

PICTURE = png(np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[:, None], 32, axis=1))
ASYNC = {"Prefer": "respond-async"}
SHORT_S = 1.0
SECRET = "a secret of more than thirty-two characters"  # noqa: S105 - of the test


@pytest.fixture(scope="module")
async def own_triton(repository: Path) -> AsyncIterator[EmbeddedTriton]:
    """A Triton that is stopped now and then."""
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture(scope="module")
async def gateway(
    own_triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that gives up an attempt soon."""
    settings = settings_for(own_triton.grpc_url, tmp_path_factory.mktemp("store"))
    http = settings.http.model_copy(update={"request_timeout_s": SHORT_S})
    async with running_gateway(brisk(settings, http=http)) as gateway:
        await until(gateway.is_ready)
        yield gateway


async def send(client: httpx.AsyncClient, document: Any, *images: bytes, **headers: str) -> Any:
    answer = await client.post(
        "/v1/studies", headers=ASYNC | headers, **multipart(document, *images)
    )
    assert answer.status_code == 202, answer.text
    return answer


async def view(client: httpx.AsyncClient, study_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/studies/{study_id}")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def came_to(client: httpx.AsyncClient, study_id: str, status: str) -> dict[str, Any]:
    """The view once it has this status."""

    async def has_status() -> bool:
        return (await view(client, study_id))["status"] == status

    await until(has_status)
    return await view(client, study_id)


def left(gateway: LiveGateway, study_id: str) -> list[str]:
    stored = gateway.stored()
    return [path for path in stored if f"/{study_id}/" in path or path.endswith(f".{study_id}")]


async def test_study_is_kept_then_read_and_each_image_lies_there_once(gateway: LiveGateway):
    client, images = gateway.client, [flat_png(255), flat_png(0)]
    document = metadata()
    answer = await send(client, document, *images)
    path = f"/v1/studies/{document['study_id']}"
    assert answer.headers["location"] == path
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["status"] in {"pending", "completed"}  # on a busy machine read by now
    result = await came_to(client, document["study_id"], "completed")
    digests = [hashlib.sha256(image).hexdigest() for image in images]
    assert [image["sha256"] for image in result["images"]] == digests
    assert "pending" not in result

    def there() -> list[str]:
        return left(gateway, document["study_id"])

    def is_done() -> bool:
        return not [path for path in there() if path.startswith("work/")]

    await until(is_done)
    before = there()
    stored = [path.split("/")[3] for path in before if "/images/" in path]
    assert (sorted(stored), len(before)) == (sorted(digests), 3)
    await send(client, document, *images)  # again: what the readings name stays alone
    await until(is_done)
    assert there() == before


async def test_what_waits_for_triton_is_pending_with_its_progress_and_listed(
    gateway: LiveGateway, own_triton: EmbeddedTriton
):
    client, document = gateway.client, metadata()
    study_id = document["study_id"]
    with suspended(own_triton):
        await send(client, document, flat_png(201))

        async def was_tried() -> bool:
            [item] = (await view(client, study_id))["pending"]
            return "problem" in item

        await until(was_tried)
        [item] = (await view(client, study_id))["pending"]
        assert item["images"] == 1
        assert item["attempts"] >= 1
        assert item["problem"]["type"] in {
            "urn:radstream:problem:deadline-exceeded",
            "urn:radstream:problem:model-unavailable",
        }
        page = (await client.get("/v1/studies", params={"limit": 200})).json()
        [summary] = [item for item in page["studies"] if item["study_id"] == study_id]
        assert (summary["status"], summary["images"]) == ("pending", 0)
        await gateway.comes_to(1, "radstream_pending_studies")
        await until(lambda: _grows(gateway, "radstream_pending_studies_oldest_age_seconds"))
    result = await came_to(client, study_id, "completed")
    assert len(result["images"]) == 1
    await gateway.comes_to(0, "radstream_pending_studies")


async def test_freshness_of_an_accepted_study_counts_from_its_acceptance_whoever_took_it(
    gateway: LiveGateway,
):
    """One that another gateway took in two hours ago, and died over."""
    name, route = "radstream_study_freshness_seconds", {"route": "rest"}
    before = await gateway.metric(f"{name}_count", **route)
    document = metadata()
    study_id, picture = document["study_id"], flat_png(203)
    received = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    submission = {
        "schema": "radstream.submission/1",
        "received_at": received.isoformat(),
        "metadata": base64.b64encode(json.dumps(document).encode()).decode(),
        "parts": [{"part": "image", "object": "image-1"}],
        "image_bytes": len(picture),
        "context": {},
    }
    store = FolderStore(gateway.settings.store.folder)
    work = WorkId.new(study_id, received)
    entry, folder = entry_key(SUBMISSIONS, work, received), kept_folder(SUBMISSIONS, work)
    await store.create(f"{folder}image-1", picture, media_type="")
    await store.create(entry, json.dumps(submission).encode(), media_type="")
    promised = StudySubmissions(StudyDocuments(store))
    await promised.promise(work, StudyMetadata.model_validate(document), 1, Seen())
    await came_to(gateway.client, study_id, "completed")
    await gateway.comes_to(before + 1, f"{name}_count", **route)
    assert await gateway.metric(f"{name}_sum", **route) >= 7200
    assert await gateway.metric(f"{name}_bucket", **route, le="60.0") == before


async def _grows(gateway: LiveGateway, name: str) -> bool:
    return await gateway.metric(name) > 0


@pytest.mark.parametrize(
    ("change", "image", "status"),
    [
        ({"view": "UP"}, flat_png(3), 422),
        ({}, b"no image at all", 415),
        ({}, flat_png(3)[:20], 422),
        ({"body_part": "HIP"}, flat_png(3), 422),
        ({"model": "nobody"}, flat_png(3), 422),
    ],
)
async def test_what_a_look_can_tell_is_refused_at_once_and_nothing_is_kept(
    gateway: LiveGateway, change: dict[str, Any], image: bytes, status: int
):
    document = metadata(**change)
    answer = await gateway.client.post("/v1/studies", headers=ASYNC, **multipart(document, image))
    assert answer.status_code == status, answer.text
    assert left(gateway, document["study_id"]) == []


async def test_another_patient_is_refused_whether_the_first_was_read_or_waits(
    gateway: LiveGateway, own_triton: EmbeddedTriton
):
    client, document = gateway.client, metadata(patient_id="1")
    other = multipart(document | {"patient_id": "2"}, flat_png(5))
    with suspended(own_triton):
        await send(client, document, flat_png(4))
        assert (await client.post("/v1/studies", headers=ASYNC, **other)).status_code == 409
    await came_to(client, document["study_id"], "completed")
    assert (await client.post("/v1/studies", headers=ASYNC, **other)).status_code == 409


async def test_what_only_decoding_finds_is_a_failure_until_the_image_is_processed(
    gateway: LiveGateway,
):
    client, document = gateway.client, metadata(image_size={"width": 31, "height": 32})
    study_id = document["study_id"]
    await send(client, document, flat_png(7))
    result = await came_to(client, study_id, "failed")
    [failure] = result["failures"]
    assert failure["problem"]["type"] == "urn:radstream:problem:invalid-metadata"
    assert result["images"] == []
    retried = await client.post(f"/v1/parked/{failure['parked']}/retry")
    assert retried.json()["outcome"] == "pending"

    async def failed_again() -> bool:
        found = (await view(client, study_id)).get("failures", [])
        return bool(found) and found[0]["failed_at"] != failure["failed_at"]

    await until(failed_again)
    await send(client, metadata(study_id=study_id), flat_png(207))
    result = await came_to(client, study_id, "partial")
    assert (len(result["images"]), len(result["failures"])) == (1, 1)
    answer = await client.post("/v1/studies", **multipart(metadata(study_id=study_id), flat_png(7)))
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert "failures" not in await view(client, study_id)
    assert (await client.delete(f"/v1/parked/{failure['parked']}")).status_code == 404
    assert [path for path in left(gateway, study_id) if "/submissions/" in path] == []


async def test_a_failure_is_over_once_an_operator_discards_it(gateway: LiveGateway):
    client, document = gateway.client, metadata(image_size={"width": 31, "height": 32})
    study_id = document["study_id"]
    await send(client, document, flat_png(9))
    [failure] = (await came_to(client, study_id, "failed"))["failures"]
    await send(client, metadata(study_id=study_id), flat_png(209))
    await came_to(client, study_id, "partial")
    assert (await client.delete(f"/v1/parked/{failure['parked']}")).status_code == 204
    result = await view(client, study_id)
    assert result["status"] == "completed"
    assert "failures" not in result
    assert [path for path in left(gateway, study_id) if "/submissions/" in path] == []


async def test_what_is_parked_is_counted_without_any_drop_folder(gateway: LiveGateway):
    assert not gateway.settings.dropfolder.watch
    client, document = gateway.client, metadata(image_size={"width": 31, "height": 32})
    await send(client, document, flat_png(8))
    [failure] = (await came_to(client, document["study_id"], "failed"))["failures"]

    async def is_counted(parked: int) -> bool:
        listed = len((await client.get("/v1/parked?limit=200")).json()["parked"])
        return listed == parked == await gateway.metric("radstream_dropfolder_parked")

    parked = len((await client.get("/v1/parked?limit=200")).json()["parked"])
    assert parked > 0
    await until(lambda: is_counted(parked))
    await client.delete(f"/v1/parked/{failure['parked']}")
    await until(lambda: is_counted(parked - 1))


@pytest.mark.parametrize("prefer", ["return=minimal", "respond-asynchronously", ""])
async def test_other_preferences_are_answered_with_the_result(client: Any, prefer: str):
    answer = await client.post(
        "/v1/studies", headers={"Prefer": prefer}, **multipart(metadata(), flat_png(8))
    )
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


async def test_the_preference_may_stand_among_others(gateway: LiveGateway):
    await send(gateway.client, metadata(), flat_png(9), Prefer="wait=10, Respond-Async;foo=1")


async def test_same_study_sent_many_times_at_once_is_stored_once(gateway: LiveGateway):
    client, document = gateway.client, metadata()
    await asyncio.gather(*(send(client, document, flat_png(11)) for _ in range(8)))
    result = await came_to(client, document["study_id"], "completed")
    assert len(result["images"]) == 1


async def test_what_was_accepted_before_a_stop_is_read_after_the_start(
    own_triton: EmbeddedTriton, tmp_path: Path
):
    settings = brisk(settings_for(own_triton.grpc_url, tmp_path / "store"))
    document = metadata()
    with suspended(own_triton):
        async with running_gateway(settings) as gateway:
            # Before its models are known nothing can be said of them, and it is taken.
            await send(gateway.client, document, flat_png(12))
    async with running_gateway(settings) as gateway:
        result = await came_to(gateway.client, document["study_id"], "completed")
        assert len(result["images"]) == 1


# --- callbacks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def calling(
    own_triton: EmbeddedTriton, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that may call the receiver."""
    settings = settings_for(own_triton.grpc_url, tmp_path_factory.mktemp("store"))
    callbacks = CallbackSettings(
        hosts=receiver.url.removeprefix("https://"),
        secret=SecretStr(SECRET),
        private_addresses=True,
        ca_file=receiver.ca_file,
    )
    async with running_gateway(brisk(settings, callbacks=callbacks)) as gateway:
        await until(gateway.is_ready)
        yield gateway


async def test_sender_is_told_once_the_study_is_read(calling: LiveGateway, receiver: Receiver):
    receiver.came.clear()
    receiver.statuses = [503, 302]
    document = metadata(patient_id="Nobody^Else")
    url = f"{receiver.url}/done"
    await send(calling.client, document, flat_png(30), **{"RadStream-Callback": url})
    await until(lambda: len(receiver.came) == 3)
    bodies = {body for _, _, body in receiver.came}
    assert len(bodies) == 1
    path, headers, body = receiver.came[-1]
    told = json.loads(body)
    assert path == "/done"
    assert told == {
        "schema": "radstream.callback/1",
        "delivery": headers["radstream-delivery"],
        "study_id": document["study_id"],
        "study": f"/v1/studies/{document['study_id']}",
        "status": "completed",
    }
    timestamp = int(headers["radstream-signature"].split(",")[0].removeprefix("t="))
    assert headers["radstream-signature"] == signature(SECRET, timestamp, body)
    assert (await view(calling.client, document["study_id"]))["status"] == "completed"
    await until(
        lambda: not [path for path in calling.stored() if path.startswith("work/callbacks/")]
    )
    await calling.comes_to(1, "radstream_callbacks_total", outcome="delivered")
    await calling.comes_to(2, "radstream_callbacks_total", outcome="refused")


async def test_sender_is_told_which_images_could_not_be_processed(
    calling: LiveGateway, receiver: Receiver
):
    receiver.came.clear()
    document = metadata()
    sent = await send(
        calling.client, document, b"no image", PICTURE, **{"RadStream-Callback": receiver.url}
    )
    assert sent.status_code == 202
    await until(lambda: len(receiver.came) == 1)
    told = json.loads(receiver.came[0][2])
    assert (told["status"], "problem" in told) == ("partial", False)
    [item] = told["not_processed"]
    assert (item["part"], item["problem"]["type"]) == (
        "image[0]",
        "urn:radstream:problem:unsupported-image",
    )
    assert item["sha256"] == hashlib.sha256(b"no image").hexdigest()


async def test_sender_is_told_why_a_study_failed(calling: LiveGateway, receiver: Receiver):
    receiver.came.clear()
    document = metadata(image_size={"width": 1, "height": 1})
    await send(calling.client, document, flat_png(31), **{"RadStream-Callback": receiver.url})
    await until(lambda: len(receiver.came) == 1)
    told = json.loads(receiver.came[0][2])
    assert told["status"] == "failed"
    assert told["problem"]["type"] == "urn:radstream:problem:invalid-metadata"


@pytest.mark.parametrize("prefer", ["respond-async", ""])
async def test_callback_that_is_not_allowed_or_not_asked_for_is_refused(
    gateway: LiveGateway, prefer: str
):
    document = metadata()
    answer = await gateway.client.post(
        "/v1/studies",
        headers={"Prefer": prefer, "RadStream-Callback": "https://127.0.0.1/"},
        **multipart(document, flat_png(32)),
    )
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:radstream:problem:invalid-callback"
    assert left(gateway, document["study_id"]) == []
