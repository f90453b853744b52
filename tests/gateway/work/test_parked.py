"""Parked items: one for each piece of work, listed though some cannot be read."""

import pytest

from gateway.errors import GivenUpError, ParkedItemNotFoundError, RadStreamError, UnknownModelError
from gateway.problems import problem_of
from gateway.work.parked import ParkedCount, Parking
from tests.support.store import MemoryStore


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def parking(objects: MemoryStore) -> Parking:
    return Parking(objects, problem_of)


async def test_work_that_fails_again_in_the_same_way_keeps_its_item(parking: Parking):
    first = await parking.park_work("key", GivenUpError(3))
    assert await parking.park_work("key", GivenUpError(3)) == first
    other: RadStreamError = UnknownModelError("m", ())
    again = await parking.park_work("key", other)
    assert (again.id, again.problem.title) == (first.id, "Unknown model")
    assert await parking.items(after="", limit=None) == [again]
    await parking.clear_work("key")
    with pytest.raises(ParkedItemNotFoundError):
        await parking.item(first.id)


async def test_pages_pass_over_what_cannot_be_read(parking: Parking, objects: MemoryStore):
    parked = [await parking.park_work(f"key {number}", GivenUpError(3)) for number in range(5)]
    items = sorted(parked, key=lambda item: item.id)
    objects.objects[parking.key(items[1])] = b"{"
    first = await parking.items(after="", limit=2)
    assert first == [items[0], items[2]]
    assert await parking.items(after=first[-1].id, limit=2) == items[3:]
    await parking.discard(items[1].id)  # though it be unreadable
    with pytest.raises(ParkedItemNotFoundError):
        await parking.discard(items[1].id)


async def test_items_are_read_once_to_be_counted(parking: Parking, objects: MemoryStore):
    item = await parking.park_work("key", GivenUpError(3))
    objects.objects["parked/broken.json"] = b"{"
    told: list[object] = []
    count = ParkedCount(parking, told.extend)
    await count.sweep()
    assert sorted(map(str, told)) == sorted(map(str, [item.parked_at, None]))
    objects.calls.clear()
    await count.sweep()
    assert [key for call, key in objects.calls if call == "read"] == ["parked/broken.json"]
