"""The routing document's content is told at once, and whenever it is another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreUnavailableError
from gateway.routing import sources
from gateway.routing.document import MOST_BYTES, RoutingFileError
from gateway.routing.sources import RoutingFile, StoredRouting, place_of, source_of
from gateway.settings import RoutingSettings
from gateway.storage.protocol import ObjectStore
from tests.support.store import MemoryStore

KEY = "routing/document.json"
NONE = "the store has none: `radstream rules publish` puts one there"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_LOOK_S", 0.01)


@pytest.fixture(params=["folder_store", "s3_store"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened


async def told(contents: AsyncIterator[bytes | RoutingFileError]) -> bytes | str:
    async with asyncio.timeout(30):
        content = await anext(contents)
    return content if isinstance(content, bytes) else str(content)


async def test_contents_of_the_store_are_told_once_each(objects: ObjectStore):
    stored = StoredRouting(objects)
    contents = stored.contents()
    assert await told(contents) == NONE
    with pytest.raises(RoutingFileError, match="the store has none"):
        await stored.read()
    await stored.write(b"one")
    assert await told(contents) == b"one"
    await stored.write(b"one")  # no other content
    await asyncio.sleep(0.05)
    await stored.write(b"two")
    assert await told(contents) == b"two"
    assert await stored.read() == b"two"
    await stored.write(b" " * (MOST_BYTES + 1))
    assert await told(contents) == "it has more than 4194304 bytes"
    await objects.delete(KEY)
    assert await told(contents) == NONE


async def test_a_store_that_is_away_tells_nothing():
    class Away(MemoryStore):
        times_away = 0

        async def read(self, key: str, **options: Any) -> bytes:
            if self.times_away:
                self.times_away -= 1
                raise StoreUnavailableError("connection refused")
            return await super().read(key, **options)

    objects = Away()
    stored = StoredRouting(objects)
    contents = stored.contents()
    await stored.write(b"one")
    assert await told(contents) == b"one"
    objects.times_away = 3
    with pytest.raises(StoreUnavailableError):
        await stored.read()
    await stored.write(b"two")
    assert await told(contents) == b"two"
    assert objects.times_away == 0


async def test_contents_of_a_file_are_told(tmp_path: Path):
    path = tmp_path / "routing.json"
    contents = RoutingFile(path).contents()
    assert await told(contents) == "No such file or directory"
    path.write_bytes(b"one")
    assert await told(contents) == b"one"
    assert await RoutingFile(path).read() == b"one"


def test_the_settings_name_one_place():
    objects = MemoryStore()
    in_file = RoutingSettings(file=Path("/etc/routing.json"))
    stored = RoutingSettings(stored=True)
    assert isinstance(source_of(in_file, objects), RoutingFile)
    assert isinstance(source_of(stored, objects), StoredRouting)
    assert source_of(RoutingSettings(), objects) is None
    places = [place_of(each) for each in (in_file, stored, RoutingSettings())]
    assert places == ["/etc/routing.json", KEY, None]
