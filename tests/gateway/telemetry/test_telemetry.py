"""Events go in without waiting and come out at least once, whatever their sink does."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.observability.metrics import Metrics
from gateway.runtime.backoff import Backoff
from gateway.telemetry.journal import Journal
from gateway.telemetry.records import BATCH_RECORDS, SinkUnavailableError, TelemetryRecord
from gateway.telemetry.spool import Spool
from gateway.telemetry.telemetry import Telemetry
from tests.support.gateway import until
from tests.support.telemetry import MemorySink, event, event_ids

EAGER = Backoff(first_s=0.001, longest_s=0.01)


class Parts:
    """A telemetry and all that it stands on."""

    def __init__(self, sink: MemorySink, folder: Path, **options: Any) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.sink = sink
        self.spool = Spool(folder, limit_bytes=options.pop("spool_bytes", 10**7))
        defaults = {"queue_bytes": 10**7, "linger_s": 0.01, "drain_s": 5.0, "backoff": EAGER}
        journal = Journal(folder)
        self.telemetry = Telemetry(sink, self.spool, journal, self.metrics, **defaults | options)

    def emit(self, count: int) -> list[str]:
        """The ids of so many new events."""
        events = [event() for _ in range(count)]
        for each in events:
            self.telemetry.emit(each)
        return [each.event_id for each in events]

    def count(self, name: str, **labels: str) -> int:
        return int(
            self.metrics.registry.get_sample_value(f"radstream_telemetry_{name}", labels) or 0
        )

    def dropped(self) -> int:
        reasons = ("queue_full", "spool_full", "damaged")
        return sum(self.count("dropped_total", reason=reason) for reason in reasons)


@asynccontextmanager
async def running(sink: MemorySink, folder: Path, **options: Any) -> AsyncIterator[Parts]:
    parts = Parts(sink, folder, **options)
    async with parts.telemetry.running():
        yield parts


def away(reason: str = "away") -> MemorySink:
    async def refuse(_records: Sequence[TelemetryRecord]) -> Sequence[int]:
        raise SinkUnavailableError(reason)

    return MemorySink(refuse)


def hanging() -> MemorySink:
    async def refuse(_records: Sequence[TelemetryRecord]) -> Sequence[int]:
        await asyncio.Event().wait()
        return ()

    return MemorySink(refuse)


async def test_every_event_arrives_once_where_nothing_is_wrong(tmp_path: Path):
    async with running(MemorySink(), tmp_path) as parts:
        sent = parts.emit(1200)
        await until(lambda: len(parts.sink.taken) == 1200)
    assert event_ids(parts.sink.taken) == sent
    assert max(map(len, parts.sink.calls)) == BATCH_RECORDS
    assert (parts.count("queued_total"), parts.count("sent_total")) == (1200, 1200)
    assert (parts.count("spooled_total"), parts.count("retried_total")) == (0, 0)
    assert parts.count("queue_bytes") == 0


async def test_events_of_one_study_have_one_key(tmp_path: Path):
    async with running(MemorySink(), tmp_path) as parts:
        for stage in ("decode", "infer", "total"):
            parts.telemetry.emit(event(study_ref="ab" * 16, stage=stage))
        await until(lambda: len(parts.sink.taken) == 3)
    assert {record.key for record in parts.sink.taken} == {"ab" * 16}


async def test_a_lone_event_does_not_wait_for_a_full_batch(tmp_path: Path):
    async with running(MemorySink(), tmp_path) as parts:
        parts.emit(1)
        await until(lambda: len(parts.sink.taken) == 1)


async def test_exactly_the_refused_records_are_sent_again(tmp_path: Path):
    refused_once: set[str] = set()

    async def every_third_once(records: Sequence[TelemetryRecord]) -> Sequence[int]:
        ids = event_ids(records)
        refused = [i for i in range(0, len(ids), 3) if ids[i] not in refused_once]
        refused_once.update(ids[i] for i in refused)
        return refused

    async with running(MemorySink(every_third_once), tmp_path) as parts:
        sent = parts.emit(300)
        await until(lambda: len(parts.sink.taken) == 300)
    assert Counter(event_ids(parts.sink.taken)) == Counter(sent)
    assert len(parts.sink.calls[0]) == 300
    assert event_ids(parts.sink.calls[1]) == sent[::3]
    assert parts.count("sent_total") == 300
    assert parts.count("retried_total") == sum(map(len, parts.sink.calls)) - 300
    assert parts.count("spooled_total") == 0


async def test_what_an_absent_sink_does_not_take_waits_on_disk_and_is_replayed(tmp_path: Path):
    async with running(away("AccessDenied"), tmp_path) as parts:
        with capture_logs() as logs:
            sent = parts.emit(700)
            await until(lambda: parts.count("spooled_total") == 700)
            assert parts.count("spool_bytes") > 0
            sent += parts.emit(10)  # goes to the disk without being tried
            await until(lambda: parts.count("spooled_total") == 710)
            parts.sink.refuse = None
            await until(lambda: parts.count("replayed_total") == 710)
            await until(lambda: parts.count("spool_bytes") == 0)
            sent += parts.emit(5)
            await until(lambda: parts.count("sent_total") == 715)
        told = [(entry["event"], entry.get("reason")) for entry in logs]
    assert told == [("telemetry.sink_away", "AccessDenied"), ("telemetry.sink_back", None)]
    assert Counter(event_ids(parts.sink.taken)) == Counter(sent)
    assert parts.dropped() == 0


async def test_what_comes_faster_than_the_sink_takes_it_waits_on_disk(tmp_path: Path):
    async with running(hanging(), tmp_path, queue_bytes=100_000, drain_s=0.01) as parts:
        for _ in range(20):
            parts.emit(50)
            await until(lambda: parts.count("queue_bytes") <= 50_000)
        assert parts.count("spooled_total") > 0
        assert parts.dropped() == 0
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: len(after.sink.taken) == 1000)
    assert len(set(event_ids(after.sink.taken))) == 1000


async def test_taking_an_event_never_waits_and_never_takes_more_memory_than_it_may(tmp_path: Path):
    async with running(hanging(), tmp_path, queue_bytes=100_000, drain_s=0) as parts:
        parts.emit(1000)  # nothing else runs meanwhile
        assert parts.count("queue_bytes") <= 100_000
        assert parts.count("dropped_total", reason="queue_full") > 0
        assert parts.count("queued_total") == 1000
    lost = parts.count("dropped_total", reason="queue_full")
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: len(after.sink.taken) == 1000 - lost)


async def test_what_a_full_spool_has_no_room_for_waits_in_memory(tmp_path: Path):
    async with running(away(), tmp_path, spool_bytes=20_000) as parts:
        sent = parts.emit(100)
        await until(lambda: 0 < parts.count("spooled_total") < 100)
        await until(lambda: parts.count("queue_bytes") > 0)
        parts.sink.refuse = None
        await until(lambda: len(parts.sink.taken) == 100)
        assert parts.count("spool_bytes") <= 20_000
    assert Counter(event_ids(parts.sink.taken)) == Counter(sent)
    assert parts.dropped() == 0


async def test_where_spool_and_memory_are_full_the_rest_is_dropped_and_counted(tmp_path: Path):
    options = {"spool_bytes": 20_000, "queue_bytes": 50_000, "drain_s": 0}
    async with running(away(), tmp_path, **options) as parts:
        parts.emit(50)
        await until(lambda: parts.count("spooled_total") > 0 and parts.count("queue_bytes") > 0)
        assert parts.dropped() == 0
        parts.emit(100)
        assert parts.count("dropped_total", reason="spool_full") > 0
        assert parts.count("dropped_total", reason="queue_full") == 0
        assert parts.count("spool_bytes") <= 20_000
        assert 40_000 < parts.count("queue_bytes") <= 50_000
    # What nobody took by the end is lost, and counted as well.
    kept = parts.count("spooled_total")
    assert kept + parts.dropped() == 150
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: len(after.sink.taken) == kept)


async def test_without_a_spool_the_sink_is_tried_again_and_again(tmp_path: Path):
    async with running(away(), tmp_path, spool_bytes=0) as parts:
        sent = parts.emit(3)
        await until(lambda: parts.telemetry._sender.away)
        parts.sink.refuse = None
        sent += parts.emit(2)
        await until(lambda: len(parts.sink.taken) == 5)
    assert Counter(event_ids(parts.sink.taken)) == Counter(sent)
    assert parts.dropped() == 0


async def test_stopping_delivers_what_is_queued(tmp_path: Path):
    async with running(MemorySink(), tmp_path, linger_s=60) as parts:
        sent = parts.emit(1300)
    assert event_ids(parts.sink.taken) == sent
    assert parts.count("spooled_total") == 0


async def test_stopping_gives_a_hanging_sink_its_time_and_spools_the_rest(tmp_path: Path):
    async with running(hanging(), tmp_path, linger_s=60, drain_s=0.05) as parts:
        sent = parts.emit(700)
    assert parts.count("spooled_total") == 700
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: after.count("replayed_total") == 700)
    assert Counter(event_ids(after.sink.taken)) == Counter(sent)
    assert after.count("spool_bytes") == 0


async def test_stopping_while_the_spool_is_replayed_loses_nothing(tmp_path: Path):
    async with running(away(), tmp_path, drain_s=0) as parts:
        sent = parts.emit(600)
        await until(lambda: parts.count("spooled_total") == 600)
    slow = hanging()
    async with running(slow, tmp_path) as parts:
        await until(lambda: len(slow.calls) == 1)
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: after.count("replayed_total") == 600)
    assert set(event_ids(after.sink.taken)) == set(sent)


async def test_an_error_nobody_foresaw_ends_nothing(tmp_path: Path):
    async def broken(_records: Sequence[TelemetryRecord]) -> Sequence[int]:
        raise ZeroDivisionError

    async with running(MemorySink(broken), tmp_path) as parts:
        with capture_logs() as logs:
            sent = parts.emit(3)
            await until(lambda: parts.count("spooled_total") == 3)
        assert {entry["event"] for entry in logs} >= {"telemetry.unexpected_error"}
        parts.sink.refuse = None
        await until(lambda: len(parts.sink.taken) == 3)
    assert event_ids(parts.sink.taken) == sent


async def test_damage_on_disk_is_counted_as_lost(tmp_path: Path):
    async with running(away(), tmp_path, drain_s=0) as parts:
        parts.emit(3)
        await until(lambda: parts.count("spooled_total") == 3)
    [segment] = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes().replace(b"success", b"failure", 1))
    async with running(MemorySink(), tmp_path) as after:
        await until(lambda: after.count("replayed_total") == 2)
        assert after.count("dropped_total", reason="damaged") == 1


async def test_what_processes_left_that_are_no_more_is_taken_over(tmp_path: Path):
    """Spooled and in the journal of a worker, of which there are fewer now."""
    old, busy = tmp_path / "worker-2", tmp_path / "worker-3"
    async with running(away(), old, drain_s=0.0) as parts:
        spooled = parts.emit(5)
        await until(lambda: parts.count("spooled_total") == 5)
    killed = Journal(old)
    [record] = [TelemetryRecord("key", b'{"event_id":"journalled"}\n', killed.generation)]
    killed.note(record)
    for _, descriptor in killed._files.values():
        os.close(descriptor)  # as its process's end does
    other = Spool(busy, limit_bytes=10**6)
    other.append([record])
    left = [(Spool(folder, limit_bytes=0), Journal(folder)) for folder in (old, busy)]
    async with running(MemorySink(), tmp_path, left=left) as parts:
        await until(lambda: len(parts.sink.taken) == 6)
    assert set(event_ids(parts.sink.taken)) == {*spooled, "journalled"}
    assert list(old.glob("*.spool")) == []
    assert len(list(busy.glob("*.spool"))) == 1
    other.close()


async def test_what_finds_no_room_stays_where_it_was_left(tmp_path: Path):
    old = tmp_path / "worker-2"
    async with running(away(), old, drain_s=0.0) as parts:
        parts.emit(3)
        await until(lambda: parts.count("spooled_total") == 3)
    left = [(Spool(old, limit_bytes=0), Journal(old))]
    async with running(MemorySink(), tmp_path, left=left, spool_bytes=10) as parts:
        await asyncio.sleep(0)
    assert len(list(old.glob("*.spool"))) == 1
