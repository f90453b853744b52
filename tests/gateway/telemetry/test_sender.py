"""Batches are delivered again until the sink is away, and only the records it refused."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.runtime.backoff import Backoff
from gateway.telemetry.records import SinkUnavailableError, TelemetryRecord
from gateway.telemetry.sender import Sender
from tests.gateway.telemetry.recorded import records

AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


class Sink:
    """Answers each call by the next of its outcomes, and takes everything after the last."""

    def __init__(self, *outcomes: Sequence[int] | Exception) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[list[TelemetryRecord]] = []

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        self.calls.append(list(records))
        outcome = self.outcomes.pop(0) if self.outcomes else ()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def sending(sink: Sink) -> Sender:
    return Sender(sink, Metrics(CollectorRegistry()), AT_ONCE)


async def test_only_the_refused_records_are_sent_again_in_their_order():
    items, sink = records(4), Sink([1, 3], [1])
    assert await sending(sink).deliver(items, stop=asyncio.Event()) == []
    assert sink.calls == [items, [items[1], items[3]], [items[3]]]


@pytest.mark.parametrize("error", [SinkUnavailableError("no route"), ValueError("unforeseen")])
async def test_a_sink_that_takes_nothing_is_given_up_and_told_of_once(error: Exception):
    items = records(2)
    sink = Sink(*[error] * 100)
    sender = sending(sink)
    with structlog.testing.capture_logs() as logs:
        assert await sender.deliver(items, stop=asyncio.Event()) == items
        tries = len(sink.calls)
        assert sender.away
        assert await sender.deliver(items, stop=asyncio.Event()) == items
    assert len(sink.calls) < 2 * tries  # it is known to be away
    assert [line["event"] for line in logs].count("telemetry.sink_away") == 1


async def test_one_who_persists_is_there_when_the_sink_is_back():
    items = records(2)
    sink = Sink(*[SinkUnavailableError("no route")] * 20)
    sender = sending(sink)
    with structlog.testing.capture_logs() as logs:
        assert await sender.deliver(items, stop=asyncio.Event(), persist=True) == []
    assert not sender.away
    assert [line["event"] for line in logs] == ["telemetry.sink_away", "telemetry.sink_back"]


async def test_a_stop_gives_back_what_a_hanging_sink_holds():
    class Hanging(Sink):
        async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
            await super().put(records)
            stop.set()
            await asyncio.Event().wait()
            raise AssertionError

    stop, items = asyncio.Event(), records(2)
    assert await sending(Hanging()).deliver(items, stop=stop) == items
