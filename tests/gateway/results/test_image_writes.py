"""Writes of images that begin before any reading names them."""

import pytest

from gateway.errors import StoreUnavailableError
from gateway.results.image_writes import ImageWrites, NewImage
from tests.support.store import MemoryStore

IMAGES = [NewImage("a" * 64, "image/png", b"first"), NewImage("b" * 64, "image/jpeg", b"second")]


def stored(objects: MemoryStore) -> set[bytes]:
    return set(objects.objects.values())


async def test_images_are_there_under_names_of_their_own_once_they_are_done():
    objects = MemoryStore()
    writes = ImageWrites(objects, "S1", IMAGES)
    await writes.done()
    assert stored(objects) == {b"first", b"second"}
    again = ImageWrites(objects, "S1", IMAGES)
    await again.done()
    assert not {*writes.names} & {*again.names}
    assert [name.rpartition(".")[2] for name in writes.names] == ["png", "jpg"]


async def test_what_no_reading_names_is_removed_even_while_it_is_written():
    objects = MemoryStore()
    await ImageWrites(objects, "S1", IMAGES).remove()
    assert stored(objects) == set()


async def test_what_is_kept_stays():
    objects = MemoryStore()
    writes = ImageWrites(objects, "S1", IMAGES)
    await writes.done()
    await writes.remove(kept=writes.names[:1])
    assert stored(objects) == {b"first"}


async def test_a_store_that_fails_is_told_and_costs_no_removal():
    class Full(MemoryStore):
        async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
            if bytes(data) == b"second":
                raise StoreUnavailableError("full")
            await super().replace(key, data, media_type=media_type)

    objects = Full()
    writes = ImageWrites(objects, "S1", IMAGES)
    with pytest.raises(StoreUnavailableError):
        await writes.done()
    await writes.remove()
    assert stored(objects) == set()


async def test_what_was_stored_before_is_neither_written_nor_removed():
    objects = MemoryStore()
    there = NewImage("c" * 64, "image/png", b"third", "image-00c0ffee.png")
    writes = ImageWrites(objects, "S1", [*IMAGES, there])
    await writes.done()
    assert writes.names[2] == there.object
    assert stored(objects) == {b"first", b"second"}
    objects.objects["results/S1/images/" + "c" * 64 + "/image-00c0ffee.png"] = b"third"
    await writes.remove()
    assert stored(objects) == {b"third"}
