"""Records of acts: written together, before the answer, and in bounds."""

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import GATEWAY, Audit, name_study
from gateway.errors import AuditUnavailableError
from gateway.observability.metrics import Metrics
from gateway.observability.tracing import NO_TRACER, spanned, trace_id
from tests.support.audit import record


class Sink:
    """An `AuditSink` that keeps what it is given, and fails or waits when told to."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, lines: bytes) -> None:
        await self.gate.wait()
        if self.fails:
            raise AuditUnavailableError("no space left")
        self.writes.append(lines)


def audit_of(sink: Sink) -> tuple[Audit, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return Audit(sink, metrics, instance="here"), metrics


async def test_records_that_come_together_are_written_together():
    sink = Sink()
    audit, _ = audit_of(sink)
    sink.gate.clear()
    tasks = [asyncio.create_task(record(audit)) for _ in range(10)]
    await asyncio.sleep(0)
    sink.gate.set()
    await asyncio.gather(*tasks)
    assert len(sink.writes) == 2
    assert b"".join(sink.writes).count(b"\n") == 10


async def test_one_caller_that_goes_away_takes_no_other_record_along():
    sink = Sink()
    audit, _ = audit_of(sink)
    sink.gate.clear()
    first, second = (asyncio.create_task(record(audit)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    sink.gate.set()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert b"".join(sink.writes).count(b"\n") == 2


async def test_each_waiting_caller_hears_of_a_failure_and_the_next_try_is_new():
    sink = Sink()
    audit, metrics = audit_of(sink)
    sink.fails = True
    answers = await asyncio.gather(*(record(audit) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [AuditUnavailableError] * 3
    assert metrics.audit.failures._value.get() == 3
    sink.fails = False
    await record(audit)
    assert len(sink.writes) == 1


async def test_a_flood_of_strangers_does_not_fill_the_disk():
    sink = Sink()
    audit, metrics = audit_of(sink)
    for _ in range(1000):
        await record(audit, None)
    left_out = metrics.audit.left_out._value.get()
    assert left_out > 700
    await record(audit)  # whoever is known is always recorded, and the rest is told of
    assert f'"left_out":{int(left_out)}'.encode() in sink.writes[-1]


async def test_the_gateways_own_work_is_recorded_where_it_touched_a_study():
    sink = Sink()
    audit, _ = audit_of(sink)
    async with audit.of_work("drop folder: deliver", GATEWAY):
        pass
    assert sink.writes == []
    async with audit.of_work("drop folder: deliver", GATEWAY):
        await asyncio.create_task(_touch("S-1"))
        name_study("S-1")
    [line] = sink.writes
    assert b'"studies":["S-1"]' in line
    assert b'"agent":{"kind":"gateway","name":"gateway"}' in line
    with pytest.raises(LookupError):
        await _fail(audit)
    assert b'"outcome":"failed"' in sink.writes[-1]
    name_study("S-3")  # nobody is at work


async def test_work_is_on_record_with_the_trace_that_it_began_if_it_was_one():
    sink = Sink()
    audit, _ = audit_of(sink)
    for deliveries in (1, 2):
        traces = []
        async with audit.of_work("drop folder: deliver", GATEWAY):
            for number in range(deliveries):
                with spanned(NO_TRACER, "delivery"):
                    name_study(f"S-{number}")
                    traces.append(trace_id())
        record = json.loads(sink.writes[-1])
        assert record.get("trace_id") == (traces[0] if deliveries == 1 else None)


async def test_work_that_is_done_does_not_fail_for_its_record():
    sink = Sink()
    audit, metrics = audit_of(sink)
    sink.fails = True
    async with audit.of_work("drop folder: deliver", GATEWAY):
        name_study("S-1")
    assert metrics.audit.failures._value.get() == 1


async def _fail(audit: Audit) -> None:
    async with audit.of_work("drop folder: deliver", GATEWAY):
        name_study("S-2")
        raise LookupError


async def _touch(study_id: str) -> None:
    name_study(study_id)
