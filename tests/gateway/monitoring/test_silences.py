"""A version beyond its stop rule is silent on all gateways until a person arms it again."""

import json

import pytest

from gateway.errors import StoreUnavailableError, UnknownModelError
from gateway.monitoring.counts import ReadingCounts
from gateway.monitoring.documents import ModelHealth, Signal, Silence
from gateway.monitoring.silences import Silences, health_key
from gateway.problems import problem_of
from gateway.storage.documents import replace_document
from gateway.storage.protocol import ObjectStore
from tests.support.audit import Trail
from tests.support.monitoring import BEGIN, silences_on
from tests.support.store import MemoryStore

RULE = {"name": "drift", "model": "m", "action": "silence", "signals": {"mean": 0.3}}
MEAN = Signal(value=0.5, low=0.4, high=0.6, limit=0.2, n=500, alarm_since=BEGIN)
DRIFTED = ModelHealth(
    model="m",
    version="1",
    reference=ReadingCounts(readings=1000),
    reference_until=BEGIN,
    signals={"mean": MEAN},
    blocks=(ReadingCounts(readings=250),),
)


async def put(objects: ObjectStore, health: ModelHealth) -> None:
    await replace_document(objects, health_key(health.model, health.version), health)


async def swept(silences: Silences) -> None:
    await silences.refresh()
    await silences.enforce()


async def test_a_fall_is_audited_with_its_cause_and_seen_by_other_gateways_and_later_ones():
    objects, trail = MemoryStore(), Trail()
    one, other = silences_on(objects, RULE, trail=trail), silences_on(objects, RULE, trail=trail)
    await put(objects, DRIFTED)
    for gateway in (one, other):
        assert not await gateway.is_silent("m", "1")
    await swept(one)
    assert await one.is_silent("m", "1")
    await swept(other)
    assert await other.is_silent("m", "1")
    assert not await other.is_silent("m", "2")
    assert await silences_on(objects).is_silent("m", "1")  # another process, without any rule
    [record] = trail.records
    assert record["reason"] == "signal mean is 0.400, its limit 0.3"
    assert record["changes"] == [{"pointer": "/models/m/1/silence", "after": "drift"}]
    assert record["agent"]["kind"] == "gateway"


@pytest.mark.parametrize(
    ("change", "shown"),
    [({"action": "alert"}, 1), ({"signals": {"mean": 0.45}}, 0), ({"version": "2"}, None)],
)
async def test_a_rule_that_alerts_alone_or_holds_silences_nothing(
    change: dict[str, object], shown: int | None
):
    objects = MemoryStore()
    silences = silences_on(objects, RULE | change)
    await put(objects, DRIFTED)
    await swept(silences)
    assert not await silences.is_silent("m", "1")
    metric = silences._metrics.broken_rule._metrics.get(("m", "1", "drift"))
    assert (None if metric is None else metric._value.get()) == shown


async def test_who_arms_it_again_begins_its_window_anew_and_keeps_its_reference():
    objects = MemoryStore()
    silences = silences_on(objects, RULE)
    await put(objects, DRIFTED)
    await swept(silences)
    before = await silences.rearm("m", "1")
    assert before.silence is not None
    assert not await silences.is_silent("m", "1")
    await swept(silences)
    [health] = silences.healths
    assert health.silence is None
    assert (health.reference.readings, health.blocks, health.signals) == (1000, (), {})


async def test_a_new_reference_leaves_a_silent_version_silent():
    objects = MemoryStore()
    silence = Silence(rule="drift", cause="it drifted", since=BEGIN)
    await put(objects, DRIFTED.model_copy(update={"silence": silence}))
    silences = silences_on(objects)
    await silences.renew_reference("m", "1")
    [health] = silences.healths
    assert (health.reference.readings, health.reference_until) == (0, None)
    assert health.silence == silence


async def test_a_version_that_was_never_read_has_nothing_to_change():
    objects = MemoryStore()
    await put(objects, DRIFTED)
    silences = silences_on(objects)
    await silences.refresh()
    with pytest.raises(UnknownModelError) as caught:
        await silences.rearm("m", "7")
    assert problem_of(caught.value).detail == (
        "The model asked for is not on record. Models that are on record: m:1."
    )


async def test_nothing_is_said_of_a_version_before_the_store_has_answered():
    async def away() -> None:
        raise StoreUnavailableError("away")

    silences = silences_on(MemoryStore(away))
    with pytest.raises(StoreUnavailableError):
        await silences.is_silent("m", "1")


async def test_a_silent_version_whose_health_was_damaged_stays_silent():
    objects = MemoryStore()
    silence = Silence(rule="drift", cause="it drifted", since=BEGIN)
    await put(objects, DRIFTED.model_copy(update={"silence": silence}))
    silences = silences_on(objects)
    await silences.refresh()
    objects.objects[health_key("m", "1")] = json.dumps({"model": 1}).encode()
    await silences.refresh()
    assert await silences.is_silent("m", "1")
