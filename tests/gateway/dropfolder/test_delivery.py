"""Deliveries that end in an error are repeated, and none answers for another."""

import asyncio

import pytest

from gateway.errors import (
    DeliveryUnfinishedError,
    InferenceOverloadedError,
    RadStreamError,
    StoreUnavailableError,
)
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Outcome
from tests.support.gateway import until
from tests.support.models import flat_png
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    Readings,
    gateway_on,
    left_of,
    put,
    sidecar,
)
from tests.support.quotas import quota_of
from tests.support.store import MemoryStore


@pytest.mark.parametrize("error", [StoreUnavailableError(""), InferenceOverloadedError("m")])
async def test_transient_trouble_is_raised_and_the_next_delivery_need_not_wait(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings,
    error: RadStreamError,
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    readings.errors = [error]
    with pytest.raises(type(error)):
        await pairing.deliver(IMAGE)
    assert left_of(objects) == []
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_delivery_beside_one_that_never_ends_is_not_said_to_be_done(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    slow = gateway_on(objects, dropped, readings, turn=for_ever)
    reading = asyncio.create_task(slow.deliver(IMAGE))
    await until(lambda: readings.inferences.total() == 1)
    with pytest.raises(DeliveryUnfinishedError):
        await slow.deliver(SIDECAR, deadline=Deadline.after(0))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert readings.inferences.total() == 1
    other = gateway_on(objects, dropped, readings)
    assert (await other.deliver(SIDECAR)).outcome is Outcome.PROCESSED


async def test_study_ends_by_its_own_deadline_before_its_delivery_is_stopped(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    """Cut off from outside, telemetry would take it for one whose caller had gone."""
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    slow = gateway_on(objects, dropped, readings, turn=for_ever)
    with pytest.raises(DeliveryUnfinishedError, match="stage study"):
        await slow.deliver(IMAGE, deadline=Deadline.after(1.0))
    assert readings.inferences.total() == 1


async def test_a_pair_beyond_its_tenants_quota_waits_in_its_place_until_there_is_room(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    limits = {"studies_per_day": 1}
    gateway = gateway_on(
        objects, dropped, readings, waiting_deadline_s=0.001, quota=quota_of(limits)
    )
    put(dropped, a_png=PNG, a_json=sidecar("S1"), b_png=flat_png(1), b_json=sidecar("S1"))
    assert (await gateway.deliver(IMAGE)).outcome is Outcome.PROCESSED
    assert (await gateway.deliver(SIDECAR)).outcome is Outcome.WAITING  # as good as done
    for key in ("images/S1/b.png", "images/S1/b.json"):
        told = await gateway.deliver(key)
        assert (told.outcome, "quota" in told.detail) == (Outcome.WAITING, True)
    await gateway.sweep()
    assert readings.inferences.total() == 1
    assert await gateway.parking.items(after="", limit=None) == []
    limits["studies_per_day"] = 2
    await gateway.sweep()
    assert readings.inferences.total() == 2
    assert (await gateway.deliver("images/S1/b.json")).outcome is Outcome.WAITING
    limits["studies_per_day"] = 3
    assert (await gateway.deliver("images/S1/b.json")).outcome is Outcome.DUPLICATE
    await gateway.sweep()
    assert left_of(objects) == []
