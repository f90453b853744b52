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
