"""Notes of halves that wait."""

from tests.support.pairing import (
    IMAGE,
    PNG,
    DropFolderGateway,
    left_of,
    put,
)
from tests.support.store import MemoryStore


async def test_half_waits_from_its_first_delivery(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    [waiting] = left_of(objects)
    first = objects.objects[waiting]
    await pairing.deliver(IMAGE)
    await pairing.sweep()
    assert {key: objects.objects[key] for key in left_of(objects)} == {waiting: first}
