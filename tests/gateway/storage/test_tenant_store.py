"""A tenant's part of a store: a store of its own, out of which no key leads."""

import pytest

from gateway.errors import InvalidKeyError, ObjectNotFoundError
from gateway.storage.protocol import ObjectStore
from gateway.storage.tenant_store import TenantStore

TYPE = "application/octet-stream"


@pytest.fixture(params=["folder_store", "memory_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened


async def test_all_of_a_store_is_there_below_the_tenants_prefix(store: ObjectStore):
    part = TenantStore(store, "north")
    assert await part.create("results/a", b"first", media_type=TYPE)
    assert not await part.create("results/a", b"second", media_type=TYPE)
    tagged = await part.read_tagged("results/a")
    assert await part.read_changed("results/a", tag=None) == tagged
    assert await part.read_changed("results/a", tag=tagged.tag) is None
    tag = await part.swap("results/a", b"swapped", tag=tagged.tag, media_type=TYPE)
    assert tag is not None
    assert await part.swap("results/a", b"late", tag=tagged.tag, media_type=TYPE) is None
    await part.replace("results/b/c", b"x", media_type=TYPE)
    assert await store.read("tenants/north/results/a") == await part.read("results/a") == b"swapped"
    assert await part.beginning("results/a", 4) == b"swap"
    assert (await part.written_at("results/a")).tzinfo is not None
    assert list(await part.keys("")) == ["results/a", "results/b/c"]
    assert list(await part.folders("", after="", limit=9)) == ["results"]
    assert list(await part.folders("results/", after="", limit=9)) == ["b"]
    await part.delete("results/a", tag=tag)
    assert await part.purge("results/b/")
    assert list(await part.keys("results/")) == []


async def test_tenants_have_nothing_of_one_another(store: ObjectStore):
    names = ("north", "north-2", None)
    parts = {name: TenantStore(store, name) for name in names}
    for name, part in parts.items():
        await part.create("results/a", str(name).encode(), media_type=TYPE)
    for name, part in parts.items():
        assert await part.read("results/a") == str(name).encode()
        assert list(await part.keys("")) == ["results/a"]
    await parts["north"].purge("")
    assert await parts["north-2"].read("results/a") == b"north-2"
    with pytest.raises(ObjectNotFoundError):
        await parts["north"].read("results/a")


@pytest.mark.parametrize("key", ["../south/results/a", "results/../../south/results/a", "/a"])
async def test_no_key_leads_out(store: ObjectStore, key: str):
    await store.create("tenants/south/results/a", b"theirs", media_type=TYPE)
    with pytest.raises(InvalidKeyError):
        await TenantStore(store, "north").read(key)
