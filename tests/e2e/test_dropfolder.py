"""Studies that come as files: from a bucket's events to stored results, through real processes."""

import asyncio
import json
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.dropfolder import Bucket, Replica, deliver, replicas
from tests.support.gateway import metric, run_command, until
from tests.support.models import flat_png, png
from tests.support.pairing import sidecar
from tests.support.processes import stopped, triton_process
from tests.support.s3 import faults, make_buckets, s3, store_settings
from tests.support.triton import running_triton

STATE = ("pairing/waiting/", "parked/")


@pytest.fixture(scope="module")
async def triton(repository: Path) -> AsyncIterator[EmbeddedTriton]:
    """One that no other gateway asks, since its inferences are counted."""
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture
async def bucket(s3_url: str) -> AsyncIterator[Bucket]:
    """New buckets."""
    async with s3(s3_url) as client:
        store = store_settings(s3_url)
        await make_buckets(client, store)
        yield Bucket(client, store)


@pytest.fixture(scope="module")
async def shared(s3_url: str) -> AsyncIterator[Bucket]:
    """Buckets of `gateways`; every test takes new studies."""
    async with s3(s3_url) as client:
        store = store_settings(s3_url)
        await make_buckets(client, store)
        yield Bucket(client, store)


@pytest.fixture(scope="module")
async def gateways(triton: EmbeddedTriton, shared: Bucket) -> AsyncIterator[Sequence[Replica]]:
    """Two gateways on one drop folder that sweep all the time and wait for a second."""
    async with replicas(
        2,
        triton.grpc_url,
        shared.store,
        RADSTREAM_DROPFOLDER__SWEEP_S="0.5",
        RADSTREAM_DROPFOLDER__WAITING_DEADLINE_S="1",
    ) as started:
        yield started


async def inferences(triton: EmbeddedTriton) -> float:
    """Images that Triton read, by its own count."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(triton.metrics_url)).text
    # Prometheus' parser gives every counter the ending that Triton's lack.
    return metric(text, "nv_inference_count_total", model="brightness", version="1")


@pytest.mark.timeout(300)
async def test_hundred_studies_through_two_gateways_have_one_reading_each(
    triton: EmbeddedTriton, bucket: Bucket
):
    async with replicas(2, triton.grpc_url, bucket.store) as gateways:
        before = await inferences(triton)
        order = random.Random(20260131)  # noqa: S311 - an order of events, no secret
        turns = asyncio.Semaphore(24)
        outcomes: Counter[str] = Counter()
        failures: list[str] = []

        async def drop(key: str, data: bytes) -> None:
            async with turns:
                event = await bucket.put(key, data)
            deliveries = [event] * order.choice([1, 2])
            for answer in await asyncio.gather(*(send(event) for event in deliveries)):
                outcomes[answer["outcome"]] += 1

        async def send(event: dict[str, object]) -> dict[str, object]:
            async with turns:
                return await deliver(event, *gateways, failures=failures)

        halves = [(f"images/S-{n}/x.png", flat_png(n)) for n in range(100)]
        halves += [(f"images/S-{n}/x.json", sidecar(f"S-{n}")) for n in range(100)]
        order.shuffle(halves)
        await asyncio.gather(*(drop(key, data) for key, data in halves))

        kept = await bucket.kept("results/")
        documents = [key for key in kept if key.endswith("/result.json")]
        assert len(documents) == 100
        assert len([key for key in kept if "/image-" in key]) == 100
        for key in documents:
            [image] = (await bucket.document(key))["images"]
            [reading] = image["readings"]
            assert reading["model"]["name"] == "brightness"
        # Each gateway may come to an image before the other's reading of it is stored. On a slow
        # machine a study's time may be up between its inference and its result.
        assert 100 <= await inferences(triton) - before <= 200 + len(failures), failures
        assert 100 <= outcomes["processed"] <= 200
        assert set(outcomes) <= {"processed", "waiting", "duplicate"}
        assert [key for key in await bucket.kept() if key.startswith(STATE)] == []


async def test_result_lies_where_the_hospital_finds_it(shared: Bucket, gateways: Sequence[Replica]):
    await deliver(await shared.put("images/R-1/x.png", flat_png(255)), *gateways)
    answer = await deliver(await shared.put("images/R-1/x.json", sidecar("R-1")), *gateways)
    assert answer["study"] == "/v1/studies/R-1"
    result = await shared.document("results/R-1/result.json")
    assert result["status"] == "completed"
    # Beside what the API tells lies what it is made of.
    record = result.pop("record")
    assert record["study_id"] == "R-1"
    assert result == (await gateways[0].client.get(answer["study"])).json()
    [image] = result["images"]
    [reading] = image["readings"]
    assert reading["findings"][0]["probability"] == pytest.approx(0.982, abs=0.001)
    assert f"results/R-1/images/{image['sha256']}/brightness-1.heatmap.png" in await shared.kept()


@pytest.mark.parametrize(
    "name", ["left + right 100%.png", "Thorax Übersicht 胸部.png", "a+b c.PNG"]
)
async def test_key_is_taken_as_it_is(shared: Bucket, gateways: Sequence[Replica], name: str):
    key = f"images/{name}"
    await deliver(await shared.put(key, flat_png(10)), *gateways)
    document = sidecar(f"K-{len(name)}-{ord(name[0])}")
    answer = await deliver(await shared.put(f"{key[:-4]}.json", document), *gateways)
    assert answer["outcome"] in {"processed", "duplicate"}  # a sweep may be faster
    assert (await gateways[0].client.get(answer["study"])).is_success


def is_positive(image: dict[str, Any]) -> bool:
    """Return whether the image's only reading found it bright."""
    [reading] = image["readings"]
    found: bool = reading["findings"][0]["positive"]
    return found


async def test_every_version_of_an_image_is_an_image_of_the_study(
    shared: Bucket, gateways: Sequence[Replica]
):
    key = "images/V-1/x.png"
    first = await shared.put(key, flat_png(0))
    second = await shared.put(key, flat_png(255))
    await shared.put("images/V-1/x.json", sidecar("V-1"))
    assert (await deliver(second, *gateways))["outcome"] == "processed"
    assert (await deliver(first, *gateways))["outcome"] == "processed"
    assert (await deliver(first, *gateways))["outcome"] == "duplicate"
    third = await shared.put(key, flat_png(255))
    assert (await deliver(third, *gateways))["outcome"] == "duplicate"
    result = await shared.document("results/V-1/result.json")
    levels = {is_positive(image): image for image in result["images"]}
    assert [image["number"] for image in result["images"]] == [1, 2]
    assert sorted(levels) == [False, True]
    # The white one lies there now: it stands, and the other one can still be looked at.
    assert "superseded_by" not in levels[True]
    assert levels[False]["superseded_by"] == levels[True]["sha256"]
    assert [warning["pointer"] for warning in result["warnings"]] == ["image"]
    client = gateways[0].client
    for link in (levels[False]["readings"][0]["heatmap"], levels[False]["preview"]):
        assert (await client.get(link)).status_code == 200
    page = (await client.get("/v1/studies", params={"limit": 200})).json()
    [summary] = [item for item in page["studies"] if item["study_id"] == "V-1"]
    assert (summary["status"], summary["images"], summary["positive"]) == (
        "completed",
        1,
        ["bright"],
    )
    again = await shared.put(key, flat_png(0))
    assert (await deliver(again, *gateways))["outcome"] == "duplicate"
    images = (await shared.document("results/V-1/result.json"))["images"]
    replaced = {is_positive(image): "superseded_by" in image for image in images}
    assert replaced == {False: False, True: True}


async def test_sidecar_that_names_another_patient_is_parked_and_changes_nothing(
    shared: Bucket, gateways: Sequence[Replica]
):
    await shared.put("images/C-1/x.png", flat_png(9))
    right = await shared.put("images/C-1/x.json", sidecar("C-1", patient_id="1"))
    await deliver(right, *gateways)
    stored = await shared.document("results/C-1/result.json")
    wrong = await shared.put("images/C-1/x.json", sidecar("C-1", patient_id="2"))
    answer = await deliver(wrong, *gateways)
    assert answer["outcome"] == "parked"
    [item] = answer["parked"]
    assert item["problem"]["type"] == "urn:radstream:problem:study-conflict"
    assert item["problem"]["errors"][0]["pointer"] == "/patient_id"
    assert await shared.document("results/C-1/result.json") == stored
    mended = await shared.put("images/C-1/x.json", sidecar("C-1", patient_id="1"))
    assert (await deliver(mended, *gateways))["outcome"] == "duplicate"
    assert await shared.kept(f"parked/{item['id']}") == []


async def test_half_without_its_other_is_parked_and_taken_up_when_that_comes(
    shared: Bucket, gateways: Sequence[Replica]
):
    url = str(gateways[0].client.base_url)
    key = "images/M-1/x.png"
    assert (await deliver(await shared.put(key, flat_png(7)), *gateways))["outcome"] == "waiting"

    async def parked() -> list[dict[str, object]]:
        code, out, _ = await run_command("parked", "list", "--url", url, "--json")
        assert code == 0
        return [item for line in out.splitlines() if (item := json.loads(line))["key"] == key]

    async def is_parked() -> bool:
        return bool(await parked())

    await until(is_parked)
    [item] = await parked()
    assert item["problem"]["type"] == "urn:radstream:problem:missing-half"
    code, out, _ = await run_command("parked", "retry", "--url", url, str(item["id"]))
    assert (code, "No sidecar came" in out) == (1, True)
    answer = await deliver(await shared.put("images/M-1/x.json", sidecar("M-1")), *gateways)
    assert answer["outcome"] == "processed"
    assert await parked() == []


async def test_damaged_half_is_parked_until_it_is_mended_or_discarded(
    shared: Bucket, gateways: Sequence[Replica]
):
    url = str(gateways[0].client.base_url)
    await shared.put("images/D-1/x.json", sidecar("D-1"))
    damaged = await shared.put("images/D-1/x.png", flat_png(7)[:-30])
    for _ in range(2):  # a second delivery parks the same item
        answer = await deliver(damaged, *gateways)
        assert answer["outcome"] == "parked"
        assert answer["parked"][0]["problem"]["type"] == "urn:radstream:problem:unreadable-image"
    [item] = answer["parked"]
    code, _, _ = await run_command("parked", "discard", "--url", url, item["id"])
    assert code == 0
    assert await shared.kept(f"parked/{item['id']}") == []
    code, _, err = await run_command("parked", "discard", "--url", url, item["id"])
    assert (code, "Parked item not found" in err) == (1, True)
    mended = await shared.put("images/D-1/x.png", flat_png(7))
    assert (await deliver(mended, *gateways))["outcome"] == "processed"


async def test_a_blank_image_is_parked_with_its_problem(
    shared: Bucket, gateways: Sequence[Replica]
):
    await shared.put("images/B-1/x.json", sidecar("B-1"))
    blank = await shared.put("images/B-1/x.png", png(np.zeros((32, 32), np.uint8)))
    answer = await deliver(blank, *gateways)
    assert answer["outcome"] == "parked"
    [item] = answer["parked"]
    assert item["problem"]["type"] == "urn:radstream:problem:no-contrast"
    seen = await shared.put("images/B-1/x.png", flat_png(7))
    assert (await deliver(seen, *gateways))["outcome"] == "processed"
    assert await shared.kept(f"parked/{item['id']}") == []


async def test_messenger_that_waits_no_longer_finds_its_study_free_again(
    triton: EmbeddedTriton, bucket: Bucket
):
    # The gateway's own time is longer than anything here waits: it ends by the messenger's.
    patient = {"RADSTREAM_HTTP__REQUEST_TIMEOUT_S": "600"}
    async with replicas(1, triton.grpc_url, bucket.store, **patient) as (gateway,):
        await bucket.put("images/W-1/x.png", flat_png(201))
        event = await bucket.put("images/W-1/x.json", sidecar("W-1"))
        with stopped(triton_process(triton.grpc_url)):
            answer = await gateway.client.post(
                "/v1/events/s3", json=event, headers={"Request-Timeout": "2"}
            )
            assert (answer.status_code, answer.json()["type"]) == (
                503,
                "urn:radstream:problem:delivery-unfinished",
            )
        assert (await deliver(event, gateway))["outcome"] == "processed"


async def test_study_whose_gateway_was_killed_is_read_by_another(
    triton: EmbeddedTriton, bucket: Bucket
):
    brief = {"RADSTREAM_HTTP__REQUEST_TIMEOUT_S": "2", "RADSTREAM_DROPFOLDER__SWEEP_S": "0.5"}
    async with replicas(2, triton.grpc_url, bucket.store, **brief) as (victim, heir):
        await bucket.put("images/S-1/x.png", flat_png(200))
        event = await bucket.put("images/S-1/x.json", sidecar("S-1"))
        with stopped(triton_process(triton.grpc_url)):
            request = asyncio.create_task(victim.client.post("/v1/events/s3", json=event))
            await until(lambda: is_under_way(bucket))
            victim.command.process.send_signal(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                await request
        assert (await deliver(event, heir))["outcome"] == "processed"  # at once
        assert (await deliver(event, heir))["outcome"] == "duplicate"
        assert [key for key in await bucket.kept() if key.startswith(STATE)] == []


async def is_under_way(bucket: Bucket) -> bool:
    """Its image is written beside the inference."""
    return bool(await bucket.kept("results/S-1/images/"))


async def test_trouble_with_s3_delays_studies_and_loses_none(
    triton: EmbeddedTriton, bucket: Bucket, s3_url: str, tmp_path: Path
):
    async with faults(s3_url, tmp_path) as proxy:
        await proxy.set()
        behind = bucket.store.model_copy(update={"endpoint": proxy.url})
        brief = {"RADSTREAM_STORE__TIMEOUT_S": "2", "RADSTREAM_HTTP__REQUEST_TIMEOUT_S": "5"}
        async with replicas(1, triton.grpc_url, behind, **brief) as (gateway,):
            before = await inferences(triton)
            events = []
            for n in range(8):
                events.append(await bucket.put(f"images/F-{n}/x.png", flat_png(n)))
                events.append(await bucket.put(f"images/F-{n}/x.json", sidecar(f"F-{n}")))
            await proxy.set({"service": "s3", "error": {"code": "InternalError", "status": 500}})
            refused = await gateway.client.post("/v1/events/s3", json=events[0])
            assert (refused.status_code, refused.json()["type"]) == (
                503,
                "urn:radstream:problem:store-failed",
            )
            assert int(refused.headers["Retry-After"]) > 0
            await proxy.set(
                {
                    "service": "s3",
                    "probability": 0.15,
                    "error": {"code": "InternalError", "status": 500},
                },
                {"service": "s3", "probability": 0.05, "reset": True},
                {"service": "s3", "probability": 0.2, "latency": {"min": 100, "max": 800}},
            )
            sending = [asyncio.create_task(deliver(event, gateway)) for event in events]
            await asyncio.gather(*sending)
            await proxy.set()
            results = await bucket.kept("results/")
            assert len([key for key in results if key.endswith("/result.json")]) == 8
            # More than eight where a claim's answer was lost; a reading an event would be sixteen.
            assert await inferences(triton) - before < len(events)
            assert await bucket.kept("parked/") == []
