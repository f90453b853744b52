"""Files whose times or bytes alone change."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from tests.gateway.dropfolder.watched_folder.listening import (
    SETTLE_S,
    preset,
    restarted,
    told_next,
)
from tests.support.gateway import until


async def test_file_whose_times_alone_change_is_not_told_again(told: list[str], tmp_path: Path):
    (tmp_path / "drop/there/before.png").chmod(0o600)
    (tmp_path / "drop/x.png").write_bytes(b"1")
    await until(lambda: told == ["there/before.png", "x.png"])


@pytest.mark.parametrize("polling", [False, True])
async def test_other_bytes_under_a_time_and_length_set_as_before_are_told(
    polling: bool, tmp_path: Path
):
    drop = tmp_path / "drop"
    drop.mkdir()
    image = drop / "x.png"
    preset(image, b"0" * 1000)
    folder = WatchedFolder(
        drop, ledger=(ledger := Ledger(None)), settle_s=SETTLE_S, poll_s=0.1, polling=polling
    )
    async with aclosing(folder.settled()) as batches:
        before = await anext(batches)
        waiting = asyncio.create_task(anext(batches))
        await asyncio.sleep(0)
        preset(image, b"1" * 1000)
        after = await waiting
    assert [file.key for file in (*before, *after)] == ["x.png", "x.png"]
    ledger.take([file.file for file in before])  # of the bytes before, which took so long
    assert not ledger.were_taken([file.file for file in after])


async def test_new_mode_after_a_restart_is_no_change_and_other_bytes_are_one(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "ledger.sqlite3"
    drop.mkdir()
    for name in ("x.png", "y.png"):
        preset(drop / name, b"0" * 1000)
    found = await restarted(drop, path, "x.png", "y.png")
    ledger = Ledger(path)
    ledger.take([file.file for file in found])
    folder = WatchedFolder(drop, ledger=ledger, settle_s=SETTLE_S)
    async with aclosing(folder.settled()) as batches:
        coming = asyncio.create_task(told_next(batches))
        await until(lambda: folder._notifier.is_on and not coming.done())
        (drop / "x.png").chmod(0o600)
        preset(drop / "y.png", b"1" * 1000)
        assert await coming == ["y.png"]
        coming = asyncio.create_task(told_next(batches))
        await asyncio.sleep(0)
        preset(drop / "x.png", b"1" * 1000)
        assert await coming == ["x.png"]
    ledger.close()
