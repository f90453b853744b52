"""Minutes of all gateways are merged once, in their order, by one gateway at a time."""

import datetime as dt

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from gateway.monitoring.counts import ReadingCounts, merged
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.health import advanced
from gateway.monitoring.merge import CLAIM, HealthMerge
from gateway.monitoring.minutes import Minute, MinuteCounts, minute_key
from gateway.monitoring.silences import health_key, healths
from gateway.observability.metrics.monitoring import MonitoringMetrics
from gateway.storage.documents import create_document
from gateway.work.claims import Claims
from tests.support.monitoring import BEGIN, minute_of_readings, silences_on, tallied
from tests.support.store import MemoryStore

LATER = BEGIN + dt.timedelta(hours=12)


def merging(objects: MemoryStore, *, reference_readings: int = 100) -> HealthMerge:
    metrics = MonitoringMetrics(CollectorRegistry())
    return HealthMerge(
        objects,
        MinuteCounts(objects, metrics),
        Claims(lease_s=60),
        metrics,
        silences=silences_on(objects, shown=metrics),
        reference_readings=reference_readings,
        clock=lambda: LATER,
    )


async def put(
    objects: MemoryStore,
    minute: int,
    counts: ReadingCounts,
    writer: str = "0a",
    run: str | None = None,
) -> None:
    began = BEGIN + dt.timedelta(minutes=minute)
    await create_document(objects, minute_key(Minute(began, "m", "1", run), writer), counts)


def left(objects: MemoryStore) -> list[str]:
    return [key for key in objects.objects if key.startswith("monitoring/minutes/2")]


def value(merge: HealthMerge, name: str, *labels: str) -> float:
    metric = getattr(merge._metrics, name)
    return float(metric.labels(*labels)._value.get())


async def test_minutes_of_two_gateways_are_the_health_that_one_would_have_made():
    generator, objects = np.random.default_rng(1), MemoryStore()
    expected = ModelHealth(model="m", version="1")
    for minute in range(40):
        one, other = (minute_of_readings(generator) for _ in range(2))
        await put(objects, minute, one, "0a")
        await put(objects, minute, other, "0b")
        began = BEGIN + dt.timedelta(minutes=minute)
        expected = advanced(expected, began, merged((other, one)), reference_readings=100)
    merge = merging(objects)
    await merge.sweep()
    [health] = await healths(objects)
    assert len(health.merged_keys) == 80
    assert health.model_copy(update={"merged_keys": ()}) == expected
    assert left(objects) == []
    assert value(merge, "readings", "m", "1") == 800
    assert value(merge, "reference_whole", "m", "1") == 1
    assert value(merge, "alarm", "m", "1", "not_applicable") == 0


async def test_it_is_the_same_in_one_sweep_and_in_many():
    found = []
    for steps in (1, 10):
        generator, objects = np.random.default_rng(2), MemoryStore()
        merge = merging(objects)
        for start in range(0, 60, 60 // steps):
            for minute in range(start, start + 60 // steps):
                await put(objects, minute, minute_of_readings(generator))
            await merge.sweep()
        [health] = await healths(objects)
        found.append(health.model_copy(update={"merged_keys": ()}))
    assert found[0] == found[1]


async def test_a_minute_that_gateways_may_still_write_waits():
    objects = MemoryStore()
    await put(objects, 12 * 60 - 2, tallied({}))
    await merging(objects).sweep()
    assert await healths(objects) == []
    assert len(left(objects)) == 1


async def test_a_minute_that_comes_too_late_is_counted_and_not_merged():
    objects = MemoryStore()
    merge = merging(objects)
    await put(objects, 5, tallied({}))
    await merge.sweep()
    await put(objects, 5, tallied({}, {}), "0b")
    await put(objects, 6, tallied({}), "0c")
    await merge.sweep()
    [health] = await healths(objects)
    assert (health.readings, health.late_readings) == (2, 2)
    assert value(merge, "dropped", "late") == 2
    assert left(objects) == []


async def test_an_acceptance_run_is_no_live_reading_and_never_late():
    objects, run = MemoryStore(), "0123456789abcdef"
    merge = merging(objects)
    await put(objects, 5, tallied({}))
    await put(objects, 5, tallied({}, {}), run=run)
    await merge.sweep()
    await put(objects, 4, tallied({}, {}, {}), run=run)
    await merge.sweep()
    [health] = await healths(objects)
    assert (health.readings, health.late_readings, health.reference.readings) == (1, 0, 1)
    assert [(each.run, each.counts.readings) for each in health.runs] == [(run, 5)]
    assert left(objects) == []


async def test_minutes_that_were_merged_before_a_kill_count_once():
    class Killed(MemoryStore):
        purges = 0

        async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
            self.purges += 1
            if self.purges == 1:
                raise KeyboardInterrupt
            return await super().purge(prefix, past_only=past_only)

    objects = Killed()
    await put(objects, 5, tallied({}))
    with pytest.raises(KeyboardInterrupt):
        await merging(objects)._merge()
    assert len(left(objects)) == 1
    await merging(objects).sweep()
    [health] = await healths(objects)
    assert (health.readings, health.late_readings) == (1, 0)
    assert left(objects) == []


async def test_one_gateway_merges_while_its_claim_holds_and_all_show():
    objects = MemoryStore()
    first, second = merging(objects), merging(objects)
    await put(objects, 5, tallied({}))
    await first.sweep()
    await put(objects, 6, tallied({}))
    await second.sweep()
    assert len(left(objects)) == 1
    assert value(second, "readings", "m", "1") == 1
    await first.sweep()
    assert left(objects) == []


async def test_an_unreadable_health_holds_up_no_other_model():
    objects = MemoryStore()
    objects.objects[health_key("m", "1")] = b"{"
    await put(objects, 5, tallied({}))
    began = BEGIN + dt.timedelta(minutes=5)
    await create_document(objects, minute_key(Minute(began, "n", "2"), "0a"), tallied({}))
    objects.objects[CLAIM] = b"{"
    await merging(objects).sweep()
    assert [(each.model, each.version) for each in await healths(objects)] == [("n", "2")]
    assert len(left(objects)) == 1
