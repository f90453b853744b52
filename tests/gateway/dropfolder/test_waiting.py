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


async def test_half_that_is_looked_at_waits_from_its_first_note_and_no_more_once_it_is_gone(
    pairing: DropFolderGateway, objects: MemoryStore
):
    waiting, image = pairing.folder.records.waiting, pairing.folder.inbox.find(IMAGE)
    assert image is not None
    await waiting.add(image, None)
    [first] = await waiting.all()
    await waiting.add(image, None, needs_other=True)
    [half] = await waiting.all()
    assert (first.needs_other, half.needs_other, half.since) == (False, True, first.since)
    await waiting.remove((image, None))
    await waiting.note_looked_at(image, None)
    assert left_of(objects) == []
