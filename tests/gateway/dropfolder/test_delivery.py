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
