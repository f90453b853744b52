"""Replaced files are noticed, through links as well."""

import asyncio
from pathlib import Path

import pytest

from gateway.runtime import file_changes


async def seen(changes, at_once: asyncio.Event, times: int) -> None:
    async for _ in changes:
        at_once.set()
        times -= 1
        if times == 0:
            return


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_changes, "_LOOK_S", 0.01)


async def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path):
    """As Kubernetes exchanges the files of a Secret: the folder's link, not the files."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("same")
    (tmp_path / "data").symlink_to("old")
    looked = asyncio.Event()
    task = asyncio.create_task(seen(file_changes.changes([tmp_path / "data" / "key"]), looked, 2))
    await looked.wait()
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").rename(tmp_path / "data")
    await task


async def test_a_file_that_comes_and_goes_is_two_changes(tmp_path: Path):
    path, changes = tmp_path / "key", file_changes.changes([tmp_path / "key"])
    await anext(changes)
    path.write_text("x")
    await anext(changes)
    path.unlink()
    await anext(changes)
