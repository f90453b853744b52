"""A gateway's counts wait in memory for their minute's end, and are kept until they are stored."""

import datetime as dt

import pytest
from prometheus_client import CollectorRegistry

from gateway.monitoring import minutes as module
from gateway.monitoring.counts import ReadingCounts
from gateway.monitoring.minutes import Minute, MinuteCounts, minute_key, minute_of
from gateway.observability.metrics.monitoring import MonitoringMetrics
from tests.support.store import AwayStore, MemoryStore
from tests.support.telemetry import event, reading_event

RUN = "0123456789012345"  # digits alone, as a version has
NOON = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counting(objects: MemoryStore, clock: Clock) -> tuple[MinuteCounts, MonitoringMetrics]:
    metrics = MonitoringMetrics(CollectorRegistry())
    return MinuteCounts(objects, metrics, clock), metrics


def stored(objects: MemoryStore) -> dict[Minute | None, int]:
    return {
        minute_of(key): ReadingCounts.model_validate_json(data).readings
        for key, data in objects.objects.items()
    }


async def test_a_minute_is_written_once_it_is_over(clock: Clock):
    objects = MemoryStore()
    counts, _ = counting(objects, clock)
    for _ in range(3):
        counts.count(reading_event(model="a.b", model_version="12"))
    counts.count(event())  # of a stage
    await counts.write()
    assert stored(objects) == {}
    clock.now += dt.timedelta(minutes=1)
    counts.count(reading_event())
    await counts.write()
    assert stored(objects) == {Minute(NOON, "a.b", "12"): 3}
    await counts.write(whole_only=False)
    assert stored(objects)[Minute(clock.now, "m", "1")] == 1


async def test_readings_of_an_acceptance_run_are_counted_apart(clock: Clock):
    objects = MemoryStore()
    counts, _ = counting(objects, clock)
    counts.count(reading_event())
    for _ in range(2):
        counts.count(reading_event(), RUN)
    await counts.write(whole_only=False)
    assert stored(objects) == {Minute(NOON, "m", "1"): 1, Minute(NOON, "m", "1", RUN): 2}


async def test_two_gateways_write_the_same_minute_beside_each_other(clock: Clock):
    objects = MemoryStore()
    for _ in range(2):
        counts, _ = counting(objects, clock)
        counts.count(reading_event())
        await counts.write(whole_only=False)
    assert len(objects.objects) == 2


async def test_what_the_store_does_not_take_is_written_later(clock: Clock):
    objects = AwayStore()
    objects.is_away = True
    counts, _ = counting(objects, clock)
    counts.count(reading_event())
    await counts.write(whole_only=False)
    counts.count(reading_event())
    objects.is_away = False
    await counts.write(whole_only=False)
    assert stored(objects) == {Minute(NOON, "m", "1"): 2}


async def test_a_store_that_is_away_for_long_costs_no_more_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_MOST_KEPT", 2)
    objects = AwayStore()
    objects.is_away = True
    counts, metrics = counting(objects, clock)
    for _ in range(3):
        counts.count(reading_event())
        clock.now += dt.timedelta(minutes=1)
    assert metrics.dropped.labels("store")._value.get() == 1
    objects.is_away = False
    await counts.write()
    assert len(objects.objects) == 2


@pytest.mark.parametrize(
    "key",
    [
        "monitoring/minutes/claim.json",
        "monitoring/minutes/20269931T1200Z/m.1.ab.json",
        "monitoring/minutes/20260131T1200Z/m.json",
        "results/S1/result.json",
    ],
)
def test_other_keys_are_of_no_minute(key: str):
    assert minute_of(key) is None


def test_a_key_names_its_minute():
    minute = Minute(NOON, "cxr.pneumonia-2", "3")
    key = minute_key(minute, "0af1")
    assert key == "monitoring/minutes/20260131T1200Z/cxr.pneumonia-2.3.0af1.json"
    assert minute_of(key) == minute
    of_run = Minute(NOON, "cxr.pneumonia-2", "3", RUN)
    assert minute_of(minute_key(of_run, "0123")) == of_run
