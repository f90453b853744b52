"""The key of the hashes is made once and remembered for a while."""

from gateway.search.hash_key import HashKey
from tests.support.store import MemoryStore


async def test_the_first_gateway_makes_the_key_of_all():
    objects = MemoryStore()
    first, second = HashKey(objects), HashKey(objects)
    assert await first.known() is None
    key = await first.get()
    assert len(key) == 32
    assert await second.get() == await second.known() == key


async def test_the_key_is_not_read_for_each_search():
    objects = MemoryStore()
    key = HashKey(objects)
    await key.get()
    objects.calls.clear()
    await key.get()
    assert objects.calls == []
