"""When a file counts as copied, told by real files that come and grow."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.clients.dropfolder import WatchedFolder
from tests.support.gateway import until

SETTLE_S = 0.4


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The keys that were told so far, of the folder `drop`."""
    (tmp_path / "drop/there").mkdir(parents=True)
    (tmp_path / "drop/there/before.png").write_bytes(b"1")
    keys: list[str] = []

    async def listen() -> None:
        async with aclosing(WatchedFolder(tmp_path / "drop", settle_s=SETTLE_S).settled()) as files:
            async for key in files:
                keys.append(key)  # noqa: PERF401 - looked at while it grows

    task = asyncio.create_task(listen())
    await until(lambda: keys == ["there/before.png"])
    yield keys
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_files_that_come_are_told_once_they_have_settled(told: list[str], tmp_path: Path):
    drop = tmp_path / "drop"
    (drop / "x.png").write_bytes(b"1")
    (drop / "new/deeper").mkdir(parents=True)
    (drop / "new/a b+ü.png").write_bytes(b"1")
    (drop / "new/deeper/y.json").write_bytes(b"1")
    await until(lambda: len(told) == 4)
    assert sorted(told[1:]) == ["new/a b+ü.png", "new/deeper/y.json", "x.png"]


async def test_file_is_not_told_while_it_grows(told: list[str], tmp_path: Path):
    with (tmp_path / "drop/x.png").open("wb", buffering=0) as file:
        for _ in range(12):  # for three times as long as a file needs to settle
            file.write(b"1")
            await asyncio.sleep(SETTLE_S / 4)
            assert told == ["there/before.png"]
    await until(lambda: told[1:] == ["x.png"])


async def test_file_that_changes_after_it_was_told_is_told_again(told: list[str], tmp_path: Path):
    (tmp_path / "drop/there/before.png").write_bytes(b"longer")
    await until(lambda: told == ["there/before.png"] * 2)


async def test_file_that_is_moved_in_is_told_and_one_that_goes_is_not(
    told: list[str], tmp_path: Path
):
    (tmp_path / "x.part").write_bytes(b"1")
    os.utime(tmp_path / "x.part", (0, 0))
    (tmp_path / "x.part").rename(tmp_path / "drop/x.png")
    (tmp_path / "drop/y.png").write_bytes(b"1")
    (tmp_path / "drop/y.png").unlink()
    (tmp_path / "drop/z.png").write_bytes(b"1")
    await until(lambda: len(told) == 3)
    assert sorted(told[1:]) == ["x.png", "z.png"]


async def test_folders_that_go_while_they_are_looked_through_end_no_watch(tmp_path: Path):
    watched = WatchedFolder(tmp_path, settle_s=SETTLE_S)

    def come_and_go() -> None:
        for number in range(400):
            (tmp_path / f"{number}/a/b").mkdir(parents=True)
            shutil.rmtree(tmp_path / f"{number}")

    coming = asyncio.create_task(asyncio.to_thread(come_and_go))
    while not coming.done():
        await asyncio.to_thread(watched._enter, tmp_path, 0.0)
    await coming
