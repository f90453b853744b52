"""Refusal at once, deadlines, and what is left behind by callers who go: nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import httpx
import numpy as np
import pytest

from gateway.admission import admission
from gateway.pictures.pictures import Pictures
from gateway.settings import AdmissionSettings, TritonSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.connections import chunked, connected, head
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.inference import ScriptedTriton, answers, indexed, never, refuses, serving
from tests.support.models import flat_png, png

BODY_LIMIT = 100_000


@pytest.fixture(scope="module")
async def small(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that takes one study at a time of a caller, and bodies of 100,000 bytes in all."""
    settings = settings_for(
        triton.grpc_url, tmp_path_factory.mktemp("store"), body_bytes=BODY_LIMIT
    ).model_copy(update={"admission": AdmissionSettings(studies=2, bytes=BODY_LIMIT)})
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


@asynccontextmanager
async def at_work(gateway: LiveGateway, triton: EmbeddedTriton) -> AsyncIterator[None]:
    """A study has its place, and keeps it until the block ends."""
    with suspended(triton):
        study = asyncio.create_task(
            gateway.client.post("/v1/studies", **multipart(metadata(), flat_png(77)))
        )
        await until(lambda: holds(gateway, "radstream_admitted_studies", 1))
        yield
    assert (await study).status_code == 200


async def holds(gateway: LiveGateway, name: str, value: float, **labels: str) -> bool:
    return await gateway.metric(name, **labels) == value


async def is_empty(gateway: LiveGateway) -> bool:
    return (
        await gateway.metric("radstream_admitted_studies") == 0
        and await gateway.metric("radstream_admitted_bytes") == 0
    )


async def test_a_study_beyond_the_limit_is_refused_before_its_body(
    small: LiveGateway, triton: EmbeddedTriton
):
    rejected = await small.metric("radstream_admission_rejected_total", reason="caller")
    async with at_work(small, triton), connected(small) as connection:
        await connection.send(head("Content-Length: 50000"))
        answer = await connection.answer()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert b'"type":"urn:radstream:problem:overloaded"' in answer
        # The connection goes on behind the body that nobody read.
        await connection.send(b"\0" * 50_000 + head(line="GET /livez HTTP/1.1"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
    assert await small.metric("radstream_admission_rejected_total", reason="caller") == rejected + 1
    assert await is_empty(small)


async def test_one_body_at_a_time_is_awaited_for_a_place(
    small: LiveGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admission, "_RESERVATION_S", 1.0)  # however late the loop is
    rejected = await small.metric("radstream_admission_rejected_total", reason="caller")
    async with connected(small) as first, connected(small) as second, connected(small) as third:
        senders = (first, second, third)
        for sender in senders:
            await sender.send(head("Content-Length: 30000"))
        for sender in senders[1:]:
            assert (await sender.answer()).startswith(b"HTTP/1.1 503 ")
        study = multipart(metadata(), flat_png(79))
        # Slow by now: its place is free, and is taken by a sender that has its body ready.
        await until(lambda: holds(small, "radstream_admitted_studies", 0))
        assert (await small.client.post("/v1/studies", **study)).status_code == 200
        await first.send(b"\0" * 30_000)
        assert (await first.answer()).startswith(b"HTTP/1.1 4")
    assert await small.metric("radstream_admission_rejected_total", reason="caller") == rejected + 2
    assert await is_empty(small)


async def test_a_caller_that_asks_first_is_not_told_to_go_on(
    small: LiveGateway, triton: EmbeddedTriton
):
    async with at_work(small, triton), connected(small) as connection:
        await connection.send(head("Content-Length: 50000", "Expect: 100-continue"))
        answer = await connection.rest()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_a_flood_is_refused_as_a_single_study_is(small: LiveGateway, triton: EmbeddedTriton):
    counted = {"route": "/v1/studies", "method": "POST", "status": "503"}
    # Known from now on, by its address and by what it shows; the fresh one never was.
    for headers in ({}, {"X-API-Key": "known"}):
        answer = await small.client.post("/v1/studies", content=b"", headers=headers)
        assert answer.status_code == 415
    before = await small.metric("radstream_http_requests_total", **counted)
    rejected = await small.metric("radstream_admission_rejected_total", reason="caller")
    async with at_work(small, triton):
        answers = [
            await small.client.post(
                "/v1/studies", **multipart(metadata(), flat_png(1)), headers=headers
            )
            for headers in ({}, {"X-API-Key": "known"}, {"X-API-Key": "fresh"})
        ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        document = answer.json()
        assert document.pop("instance") == (
            f"urn:radstream:request:{answer.headers['x-request-id']}"
        )
        assert document == {
            "type": "urn:radstream:problem:overloaded",
            "title": "Service overloaded",
            "status": 503,
            "detail": "Nothing was stored. Send the study again, more slowly.",
        }
    assert "traceparent" not in answers[0].headers  # the application heard nothing of it
    assert "traceparent" in answers[2].headers
    await small.comes_to(before + 3, "radstream_http_requests_total", **counted)
    assert await small.metric("radstream_admission_rejected_total", reason="caller") == rejected + 3


async def test_the_gateway_answers_for_itself_while_it_takes_no_studies(
    small: LiveGateway, triton: EmbeddedTriton
):
    async with at_work(small, triton):
        assert (await small.client.get("/livez")).status_code == 200
        assert (await small.client.get("/v1/studies")).status_code == 200


async def test_an_announced_body_holds_its_bytes_before_they_come(small: LiveGateway):
    async with connected(small) as first, connected(small) as second:
        await first.send(head("Content-Length: 60000"))
        await until(lambda: holds(small, "radstream_admitted_bytes", 60_000))
        await until(lambda: holds(small, "radstream_admitted_studies", 0))  # a slow body has none
        await second.send(head("Content-Length: 60000"))
        assert (await second.answer()).startswith(b"HTTP/1.1 503 ")
        await first.send(b"\0" * 60_000)
        assert (await first.answer()).startswith(b"HTTP/1.1 4")
    assert await is_empty(small)


async def test_a_body_in_chunks_holds_what_has_come_and_is_refused_at_the_bound(
    small: LiveGateway,
):
    async with connected(small) as first, connected(small) as second:
        await first.send(head("Content-Length: 30000"))
        await until(lambda: holds(small, "radstream_admitted_bytes", 30_000))
        await until(lambda: holds(small, "radstream_admitted_studies", 0))  # a slow body has none
        await second.send(head("Transfer-Encoding: chunked") + chunked(b"\0" * 10_000))
        await until(lambda: holds(small, "radstream_admitted_bytes", 40_000))
        await second.send(chunked(b"\0" * 40_000))
        assert (await second.answer()).startswith(b"HTTP/1.1 503 ")
        assert await holds(small, "radstream_admitted_bytes", 30_000)
    await until(lambda: is_empty(small))


async def test_a_flood_of_pictures_is_refused_and_studies_and_lists_are_not(small: LiveGateway):
    sent = await small.client.post("/v1/studies", **multipart(metadata(), flat_png(79)))
    [image] = sent.json()["images"]
    rejected = await small.metric("radstream_admission_rejected_total", reason="pictures")
    limit = 16 * small.settings.limits.image_threads
    paths = [image["preview"], image["readings"][0]["heatmap"]] * limit
    answers = await asyncio.gather(*(small.client.get(path) for path in paths))
    seen = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(seen) + len(refused) == len(answers)
    assert len(seen) >= limit // 2  # one caller's share of an idle gateway
    for answer in refused:
        assert answer.json()["type"] == "urn:radstream:problem:too-many-pictures"
        assert answer.headers["retry-after"] == "1"
    counted = await small.metric("radstream_admission_rejected_total", reason="pictures")
    assert counted - rejected == len(refused)


async def test_pictures_wait_and_are_refused_while_studies_and_lists_are_served(
    small: LiveGateway, monkeypatch: pytest.MonkeyPatch
):
    """With what draws held up, so that it is certain how many wait."""
    sent = await small.client.post("/v1/studies", **multipart(metadata(), flat_png(80)))
    [image] = sent.json()["images"]
    share = 8 * small.settings.limits.image_threads
    gate, begun = asyncio.Event(), 0

    async def held_up(_pictures: Pictures, *_arguments: object) -> bytes:
        nonlocal begun
        begun += 1
        await gate.wait()
        return b""

    monkeypatch.setattr(Pictures, "preview", held_up)
    waiting = [asyncio.create_task(small.client.get(image["preview"])) for _ in range(share)]
    await until(lambda: begun == share)
    refused = await small.client.get(image["readings"][0]["heatmap"])
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:radstream:problem:too-many-pictures"
    assert refused.headers["retry-after"] == "1"
    assert (await small.client.get("/v1/studies")).status_code == 200
    other = await small.client.post("/v1/studies", **multipart(metadata(), flat_png(81)))
    assert other.status_code == 200
    waiting.pop().cancel()  # whoever leaves gives the place back

    async def is_seen() -> bool:
        return (await small.client.get(image["readings"][0]["heatmap"])).status_code == 200

    await until(is_seen)
    gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_a_caller_who_leaves_in_the_middle_of_a_body_leaves_nothing(small: LiveGateway):
    async with connected(small) as connection:
        await connection.send(head("Content-Length: 60000") + b"\0" * 100)
        await until(lambda: holds(small, "radstream_admitted_bytes", 60_000))
    await until(lambda: is_empty(small))


async def test_a_caller_who_leaves_in_the_middle_of_a_study_leaves_nothing(
    small: LiveGateway, triton: EmbeddedTriton
):
    with suspended(triton):
        leaving = asyncio.create_task(
            small.client.post("/v1/studies", **multipart(metadata(), flat_png(78)))
        )
        await until(lambda: holds(small, "radstream_admitted_studies", 1))
        leaving.cancel()
        await until(lambda: is_empty(small))
    await until(small.is_ready)


async def test_the_callers_time_stops_the_work(small: LiveGateway, triton: EmbeddedTriton):
    with suspended(triton):
        answer = await small.client.post(
            "/v1/studies", **multipart(metadata(), flat_png(79)), headers={"Request-Timeout": "1"}
        )
    assert answer.status_code == 504
    assert answer.json()["type"] == "urn:radstream:problem:deadline-exceeded"
    assert await is_empty(small)
    await until(small.is_ready)


async def test_the_callers_time_begins_with_the_head(small: LiveGateway):
    async with connected(small) as connection:
        await connection.send(head("Content-Length: 1000", "Request-Timeout: 1") + b"a few")
        answer = await connection.answer()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"'body'" in answer


@pytest.mark.parametrize("asked", ["0", "-1", "1.5", "1s", "", "9" * 20, "\u0661"])
async def test_a_time_that_is_none_is_refused(small: LiveGateway, asked: str):
    answer = await small.client.post(
        "/v1/studies",
        **multipart(metadata(), flat_png(80)),
        headers=[("Request-Timeout", asked.encode())],
    )
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["header/Request-Timeout"]


async def test_more_time_than_there_is_is_no_fault(small: LiveGateway):
    answer = await small.client.post(
        "/v1/studies", **multipart(metadata(), flat_png(81)), headers={"Request-Timeout": "9999"}
    )
    assert answer.status_code == 200


# --- Triton away ---------------------------------------------------------------------------------


@pytest.fixture
async def scripted(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[ScriptedTriton, LiveGateway]]:
    triton = ScriptedTriton()
    async with serving(triton) as url:
        settings = settings_for(url, tmp_path_factory.mktemp("store")).model_copy(
            update={"triton": TritonSettings(url=url, refresh_s=0.1)}
        )
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            yield triton, gateway


async def test_studies_are_refused_at_once_while_triton_is_away_and_taken_when_it_is_back(
    scripted: tuple[ScriptedTriton, LiveGateway],
):
    triton, gateway = scripted
    assert await holds(gateway, "radstream_triton_circuit_open", 0)
    triton.index = refuses(grpc.StatusCode.UNAVAILABLE)
    await until(lambda: holds(gateway, "radstream_triton_circuit_open", 1))
    async with connected(gateway) as connection:
        await connection.send(head("Content-Length: 50000"))
        answer = await connection.answer()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 2\r\n" in answer
    assert b'"type":"urn:radstream:problem:model-unavailable"' in answer
    triton.index = answers(indexed(("brightness", "1", "READY")))
    await until(lambda: holds(gateway, "radstream_triton_circuit_open", 0))
    await until(gateway.is_ready)  # its model has read the golden image again
    study = await gateway.client.post("/v1/studies", **multipart(metadata(), flat_png(153)))
    assert study.status_code == 200


async def test_a_caller_who_leaves_cancels_the_call_at_triton(
    scripted: tuple[ScriptedTriton, LiveGateway],
):
    triton, gateway = scripted
    triton.infer = never
    triton.arrived.clear()
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        leaving = asyncio.create_task(
            client.post("/v1/studies", **multipart(metadata(), flat_png(153)))
        )
        await until(lambda: holds(gateway, "radstream_stage_seconds_count", 1, stage="tensor"))
        leaving.cancel()
    await asyncio.wait_for(triton.cancelled.wait(), 30)
    await until(lambda: is_empty(gateway))


async def test_an_accepted_study_has_room_whatever_its_parts(small: LiveGateway):
    """Its images fill most of what there is, and the second half is larger than what stays free."""
    dice = np.random.default_rng(1)
    images = [png(dice.integers(0, 256, (200, 200), dtype=np.uint8)) for _ in range(2)]
    assert sum(map(len, images)) > 0.75 * BODY_LIMIT
    document = metadata()
    answer = await small.client.post(
        "/v1/studies", headers={"Prefer": "respond-async"}, **multipart(document, *images)
    )
    assert answer.status_code == 202, answer.text

    async def is_read() -> bool:
        view = await small.client.get(f"/v1/studies/{document['study_id']}")
        return bool(view.json()["status"] == "completed")

    await until(is_read)
    await until(lambda: is_empty(small))
