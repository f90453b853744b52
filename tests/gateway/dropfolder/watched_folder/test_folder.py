"""When a file counts as copied, told by real files that come and grow."""

import asyncio
import os
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.dropfolder.watched_folder.folder import WatchedFolder, WatchedFolderError
from gateway.dropfolder.watched_folder.ledger import Ledger
from tests.gateway.dropfolder.watched_folder.listening import (
    listen,
    restarted,
    told_next,
)
from tests.support.gateway import until
from tests.support.unprivileged import answer_of, public_folder


async def test_files_that_come_are_told_once_they_have_settled(told: list[str], tmp_path: Path):
    drop = tmp_path / "drop"
    (drop / "x.png").write_bytes(b"1")
    (drop / "new/deeper").mkdir(parents=True)
    (drop / "new/a b+ü.png").write_bytes(b"1")
    (drop / "new/deeper/y.json").write_bytes(b"1")
    await until(lambda: len(told) == 4)
    assert sorted(told[1:]) == ["new/a b+ü.png", "new/deeper/y.json", "x.png"]


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


async def test_folder_in_place_of_one_that_went_is_watched(told: list[str], tmp_path: Path):
    for number in range(2):
        (tmp_path / "drop/new").mkdir()
        (tmp_path / f"drop/new/{number}.png").write_bytes(b"1")
        await until(lambda number=number: told[1:] == [f"new/{n}.png" for n in range(number + 1)])
        shutil.rmtree(tmp_path / "drop/new")


async def test_what_nothing_tells_of_is_found_by_the_next_look(tmp_path: Path):
    folder = WatchedFolder(tmp_path, ledger=Ledger(None), settle_s=0.1, rescan_s=0.3)
    keys: list[str] = []
    task = asyncio.create_task(listen(folder, keys))
    await until(lambda: folder._notifier.is_on)
    assert folder._notifier._inotify is not None
    folder._notifier._inotify._folders.clear()  # it tells, and nobody knows of what
    (tmp_path / "x.png").write_bytes(b"1")
    await until(lambda: keys == ["x.png"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_folder_that_goes_and_comes_back_is_looked_into_again(tmp_path: Path):
    drop = tmp_path / "drop"
    folder = WatchedFolder(drop, ledger=Ledger(None), settle_s=0.05, rescan_s=0.1, poll_s=0.05)
    (drop / "S").mkdir(parents=True)
    (drop / "S/x.png").write_bytes(b"1")
    with capture_logs() as log:
        async with aclosing(folder.settled()) as files:
            assert await told_next(files) == ["S/x.png"]
            coming = asyncio.create_task(told_next(files))
            drop.rename(tmp_path / "away")
            await until(lambda: bool(log))
            drop.mkdir()
            (drop / "y.png").write_bytes(b"1")
            assert await coming == ["y.png"]
    assert [(line["event"], line["whole"]) for line in log] == [("dropfolder.unreadable", True)]


async def test_file_that_was_taken_is_not_told_after_a_restart_until_it_changes(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "store/ledger.sqlite3"
    (drop / "S").mkdir(parents=True)
    for name in "abcd":
        (drop / f"S/{name}.png").write_bytes(b"1")
    found = await restarted(drop, path, "S/a.png", "S/b.png", "S/c.png", "S/d.png")
    ledger = Ledger(path)
    ledger.take([file.file for file in found[:3]])
    ledger.close()
    os.utime(drop / "S/b.png", (1, 1))
    (drop / "S/c.png").unlink()
    (drop / "S/c.png").write_bytes(b"1")  # another file, though of the same length
    # The one that came before the end is first.
    found = await restarted(drop, path, "S/d.png", "S/b.png", "S/c.png")
    assert [file.was_there for file in found] == [True, True, True]


CLOSED_FILE = """
import asyncio, json, os, sys
from contextlib import aclosing
from pathlib import Path
import anyio._backends._asyncio  # imported by name on first use, when its folder may be closed
import structlog
from gateway.dropfolder.watched_folder.folder import WatchedFolder, WatchedFolderError
from gateway.dropfolder.watched_folder.ledger import Ledger
from tests.support.unprivileged import drop_privileges

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
drop, path = Path(sys.argv[1]) / "drop", Path(sys.argv[1]) / "ledger.sqlite3"
image, told = drop / "x.png", []

async def told_next(batches):
    files = await anext(batches)
    told.append([file.key for file in files])
    return [file.file for file in files]

async def watch(*, opened):
    folder = WatchedFolder(drop, ledger=Ledger(path), settle_s=0.05, poll_s=0.05, polling=True)
    async with aclosing(folder.settled()) as batches:
        if not opened:
            folder.ledger.take(await told_next(batches))  # it was parked, say, and discarded
        else:
            (drop / "y.png").write_bytes(b"1")
            folder.ledger.take(await told_next(batches))
            image.chmod(0o600)
            folder.ledger.take(await told_next(batches))
            image.chmod(0)
            image.chmod(0o640)
            (drop / "z.png").write_bytes(b"1")
            await told_next(batches)
    folder.ledger.close()

drop_privileges()
drop.mkdir()
image.write_bytes(b"1")
image.chmod(0)
asyncio.run(watch(opened=False))
asyncio.run(watch(opened=True))
print(json.dumps(told))
"""


def test_file_that_comes_to_be_readable_is_told_once_more_also_after_a_restart():
    with public_folder() as folder:
        folder.chmod(0o777)
        assert answer_of(CLOSED_FILE, folder) == [["x.png"], ["y.png"], ["x.png"], ["z.png"]]


def test_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    for folder, reason in ((tmp_path / "file", "File exists"), (tmp_path / "file/x", "Not a dire")):
        with pytest.raises(WatchedFolderError, match=f"{folder} cannot be made: {reason}"):
            WatchedFolder(folder, ledger=Ledger(None), settle_s=1)
