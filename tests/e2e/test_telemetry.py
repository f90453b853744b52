"""Telemetry from a gateway into a real Kinesis API that throttles, refuses and goes away."""

import asyncio
import contextlib
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.observability.pseudonyms import Pseudonyms
from gateway.settings import Settings, TelemetrySettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import (
    Command,
    LiveGateway,
    client_of,
    metadata,
    metric,
    multipart,
    running_command,
    running_gateway,
    settings_for,
    until,
)
from tests.support.kinesis import Front, front, kinesis, make_stream, records_in
from tests.support.models import flat_png
from tests.support.telemetry import event_ids, events_in, readings_in

KEY = "a key of more than thirty-two characters"
EVENTS = 8  # validate, admit, decode, tensor, infer, store, total, and that of the reading


@pytest.fixture
async def before(s3_url: str) -> AsyncIterator[Front]:
    """The API, with faults to be had."""
    async with front(s3_url) as before:
        yield before


@pytest.fixture
async def stream(s3_url: str) -> AsyncIterator["Stream"]:
    async with kinesis(s3_url) as client:
        yield Stream(client, await make_stream(client, shards=3))


class Stream:
    """A stream of the real API, read past all faults."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    async def event_ids(self) -> Counter[str]:
        """How often each event is in the stream."""
        return Counter(event_ids(await records_in(self.client, self.name)))

    async def holds(self, count: int) -> bool:
        """Whether so many events have come."""
        return len(await self.event_ids()) == count


@pytest.fixture
async def live(
    triton: EmbeddedTriton, tmp_path: Path, before: Front, stream: Stream
) -> AsyncIterator[LiveGateway]:
    settings = settings_to(triton, tmp_path, before, stream)
    async with running_gateway(settings) as live:
        await until(live.is_ready)
        yield live


def settings_to(triton: EmbeddedTriton, folder: Path, before: Front, stream: Stream) -> Settings:
    telemetry = TelemetrySettings(
        kind="kinesis",
        study_ref_key=SecretStr(KEY),
        stream_name=stream.name,
        endpoint=before.url,
        linger_ms=50,
        spool_folder=folder / "spool",
    )
    settings = settings_for(triton.grpc_url, folder / "store")
    return settings.model_copy(update={"telemetry": telemetry})


async def send(client: httpx.AsyncClient, studies: int) -> None:
    for level in range(studies):
        answer = await client.post("/v1/studies", **multipart(metadata(), flat_png(level)))
        assert answer.status_code == 200, answer.text


async def count(live: LiveGateway, name: str) -> int:
    return int(await live.metric(f"radstream_telemetry_{name}"))


async def test_events_of_a_study_are_in_one_shard_each_once(live: LiveGateway, stream: Stream):
    await send(live.client, 10)
    await until(lambda: stream.holds(10 * EVENTS))
    assert set((await stream.event_ids()).values()) == {1}
    shards: dict[str, set[str]] = {}
    for shard in (await stream.client.list_shards(StreamName=stream.name))["Shards"]:
        response = await stream.client.get_shard_iterator(
            StreamName=stream.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        page = await stream.client.get_records(ShardIterator=response["ShardIterator"])
        for record in page["Records"]:
            study_ref = json.loads(record["Data"])["study_ref"]
            shards.setdefault(study_ref, set()).add(shard["ShardId"])
            assert record["PartitionKey"] == study_ref
    assert len(shards) == 10
    assert {len(found) for found in shards.values()} == {1}


async def test_refused_records_are_sent_again_and_no_others(
    live: LiveGateway, before: Front, stream: Stream
):
    before.refuses = lambda number: number % 3 == 0
    await send(live.client, 10)
    await until(lambda: stream.holds(10 * EVENTS))
    assert set((await stream.event_ids()).values()) == {1}
    assert before.refused > 20
    assert await count(live, "retried_total") == before.refused
    assert await count(live, "spooled_total") == 0


async def test_a_throttled_stream_gets_everything_in_the_end(
    live: LiveGateway, before: Front, stream: Stream
):
    before.refuses = lambda _number: True
    await send(live.client, 5)
    spooled = "radstream_telemetry_spooled_total"
    await until(lambda: _is(live, spooled, 5 * EVENTS))
    assert await count(live, "sent_total") == 0
    before.refuses = lambda number: number % 2 == 0
    await until(lambda: stream.holds(5 * EVENTS))
    assert set((await stream.event_ids()).values()) == {1}
    await until(lambda: _is(live, "radstream_telemetry_spool_bytes", 0))


async def _is(live: LiveGateway, name: str, value: int) -> bool:
    return await live.metric(name) == value


async def test_an_outage_slows_no_study_and_loses_no_event(
    live: LiveGateway, before: Front, stream: Stream
):
    await send(live.client, 3)
    await until(lambda: stream.holds(3 * EVENTS))
    await before.stop()
    await send(live.client, 20)  # answered as ever
    await until(lambda: _is(live, "radstream_telemetry_spooled_total", 20 * EVENTS))
    assert await live.is_ready()
    await before.start()
    await send(live.client, 2)
    await until(lambda: stream.holds(25 * EVENTS))
    assert set((await stream.event_ids()).values()) == {1}
    await until(lambda: _is(live, "radstream_telemetry_spool_bytes", 0))
    assert await count(live, "sent_total") == await count(live, "queued_total") == 25 * EVENTS


async def test_what_a_stopped_gateway_could_not_deliver_the_next_one_does(
    triton: EmbeddedTriton, tmp_path: Path, before: Front, stream: Stream
):
    settings = settings_to(triton, tmp_path, before, stream)
    brief = settings.telemetry.model_copy(update={"drain_s": 0.1})
    settings = settings.model_copy(update={"telemetry": brief})
    await before.stop()
    async with running_gateway(settings) as live:
        await until(live.is_ready)
        await send(live.client, 4)
    await before.start()
    async with running_gateway(settings):
        await until(lambda: stream.holds(4 * EVENTS))
    assert set((await stream.event_ids()).values()) == {1}


async def test_a_stop_signal_lets_queued_events_out(triton: EmbeddedTriton, tmp_path: Path):
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_TELEMETRY__KIND": "file",
        "RADSTREAM_TELEMETRY__FOLDER": str(tmp_path / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(tmp_path / "spool"),
        "RADSTREAM_TELEMETRY__LINGER_MS": "60000",
    }
    async with running_command("serve", **environment) as command:
        async with client_of(await command.url()) as client:
            await until(lambda: _is_ready(client))
            await send(client, 3)
        assert events_in(tmp_path / "telemetry") == []
        assert await command.stop() == 0
    told = events_in(tmp_path / "telemetry") + readings_in(tmp_path / "telemetry")
    assert len(told) == 3 * EVENTS


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


async def test_what_was_spooled_before_a_kill_comes_out_and_nothing_else(
    triton: EmbeddedTriton, tmp_path: Path, before: Front, stream: Stream
):
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_TELEMETRY__KIND": "kinesis",
        "RADSTREAM_TELEMETRY__STUDY_REF_KEY": KEY,
        "RADSTREAM_TELEMETRY__STREAM_NAME": stream.name,
        "RADSTREAM_TELEMETRY__ENDPOINT": before.url,
        "RADSTREAM_TELEMETRY__LINGER_MS": "20",
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(tmp_path / "spool"),
    }
    await before.stop()
    async with running_command("serve", **environment) as command:
        acknowledged = await _killed_under_load(command)
    segments = sorted((tmp_path / "spool").glob("*.spool"))
    lines = [line for path in segments for line in path.read_bytes().split(b"\n")[:-1]]
    kept = {json.loads(line.split(b" ", 2)[2])["event_id"] for line in lines}
    assert len(kept) >= acknowledged
    await before.start()
    async with running_command("serve", **environment) as command:
        await command.url()
        await until(lambda: stream.holds(len(kept)))
    # What was in the spool and in the journal as well, at the moment of the kill, comes twice.
    assert set(await stream.event_ids()) == kept


KILLS = 3  # ten in the drill: `KILLS` is all that differs


@pytest.mark.timeout(300)
async def test_completed_studies_are_counted_exactly_through_kills(
    triton: EmbeddedTriton, tmp_path: Path
):
    """Nothing is sent before the kills: what comes out is what the journal had."""
    rng = random.Random(29)  # noqa: S311 - seeded, so that a failure can be repeated
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_TELEMETRY__KIND": "file",  # which keeps the key that the ids are made with
        "RADSTREAM_TELEMETRY__FOLDER": str(tmp_path / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(tmp_path / "spool"),
        "RADSTREAM_TELEMETRY__LINGER_MS": "60000",
    }
    answered: list[str] = []
    for _ in range(KILLS):
        async with (
            running_command("serve", **environment) as command,
            client_of(await command.url()) as client,
        ):
            await until(partial(_is_ready, client))
            enough = len(answered) + rng.randrange(5, 25)
            senders = [asyncio.create_task(_send_on(client, answered)) for _ in range(3)]
            await until(lambda: len(answered) >= enough)  # noqa: B023 - used at once
            command.process.kill()
            await asyncio.gather(*senders)
    async with running_command("serve", **environment) as command:
        await command.url()
        assert await command.stop() == 0
    # Distinct ids of the studies' ends, by study.
    ended = Counter(
        study_ref
        for study_ref, _ in {
            (event["study_ref"], event["event_id"])
            for event in events_in(tmp_path / "telemetry")
            if event["stage"] == "total" and event["status"] == "success"
        }
    )
    names = Pseudonyms((tmp_path / "spool/study-ref.key").read_text())
    assert {ref: ended[ref] for ref in map(names.study_ref, answered)} == {
        names.study_ref(study_id): 1 for study_id in answered
    }


async def _send_on(client: httpx.AsyncClient, answered: list[str]) -> None:
    """Send studies until the gateway is killed."""
    with contextlib.suppress(httpx.TransportError):
        for level in itertools.count():
            document = metadata()
            answer = await client.post("/v1/studies", **multipart(document, flat_png(level % 256)))
            assert answer.status_code == 200, answer.text
            answered.append(document["study_id"])


async def _killed_under_load(command: Command) -> int:
    """How many events were in the spool, as far as the process had said when it was killed."""
    async with client_of(await command.url()) as client:

        async def spooled() -> int:
            text = (await client.get("/metrics")).text
            return int(metric(text, "radstream_telemetry_spooled_total"))

        async def enough() -> bool:
            return await spooled() >= 20 * EVENTS

        await until(lambda: _is_ready(client))
        load = [asyncio.create_task(send(client, 250)) for _ in range(2)]
        await until(enough)
        acknowledged = await spooled()
        command.process.kill()
        ended = await asyncio.gather(*load, return_exceptions=True)
    assert all(isinstance(error, httpx.TransportError) for error in ended), ended
    return acknowledged
