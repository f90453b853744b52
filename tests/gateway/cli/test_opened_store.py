"""The store as commands open it that are no gateway."""

from pathlib import Path

import pytest

from gateway.cli.opened_store import StoreNotReadError, opened_store
from gateway.settings import StoreSettings


async def test_a_folder_that_is_only_read_stays_as_it_is(tmp_path: Path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/a").write_bytes(b"a")
    async with opened_store(StoreSettings(folder=tmp_path)) as objects:
        assert await objects.read("results/a") == b"a"
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(StoreNotReadError, match="there is no folder"):
        async with opened_store(StoreSettings(folder=tmp_path / "gone")):
            pass
    assert not (tmp_path / "gone").exists()


async def test_a_folder_is_made_where_that_is_asked_for(tmp_path: Path):
    settings = StoreSettings(folder=tmp_path / "new")
    async with opened_store(settings, is_written=True, is_made=True) as objects:
        await objects.replace("routing/a", b"a", media_type="text/plain")
    assert (tmp_path / "new/routing/a").read_bytes() == b"a"
