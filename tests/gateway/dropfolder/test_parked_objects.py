"""Parked objects are retried and discarded by an operator."""

import pytest

from gateway.errors import (
    Fault,
    InferenceFailedError,
    ParkedItemNotFoundError,
    StudyConflictError,
)
from gateway.schemas.events import Outcome
from tests.support.pairing import (
    IMAGE,
    PNG,
    DropFolderGateway,
    Readings,
    left_of,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


async def test_object_that_fails_again_in_the_same_way_is_parked_since_the_first_time(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    put(dropped, a_png=PNG[:-20])
    [first] = (await pairing.deliver(IMAGE)).parked
    [again] = (await pairing.deliver(IMAGE)).parked
    assert again == first
    put(dropped, a_png=b"no image at all")
    [other] = (await pairing.deliver(IMAGE)).parked
    assert (other.id, other.problem.status) == (first.id, 415)
    assert other.parked_at > first.parked_at


async def test_image_parked_for_a_conflict_tells_its_study_and_is_retried_once_mended(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    dropped.objects |= {"images/x.png": PNG, "images/x.json": sidecar("S1", patient_id="MUELLER")}
    readings.errors = [StudyConflictError((Fault("/patient_id", "differs"),)) for _ in range(2)]
    [item] = (await pairing.deliver("images/x.png")).parked
    assert item.study_id == "S1"
    assert [fault.pointer for fault in item.problem.errors or ()] == ["/patient_id"]
    assert "MUELLER" not in item.model_dump_json()
    assert (await pairing.retry(item.id)).outcome is Outcome.PARKED
    dropped.objects["images/x.json"] = sidecar("S1")
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


async def test_parked_item_is_retried_and_discarded(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    readings.errors = [InferenceFailedError("m", "") for _ in range(2)]
    [item] = (await pairing.deliver(IMAGE)).parked
    assert item.problem.instance == f"urn:radstream:parked:{item.id}"
    assert (await pairing.retry(item.id)).outcome is Outcome.PARKED
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []
    with pytest.raises(ParkedItemNotFoundError):
        await pairing.retry(item.id)
