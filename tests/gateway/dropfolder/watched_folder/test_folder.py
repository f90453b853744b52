"""When a file counts as copied, told by real files that come and grow."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dropfolder.watched_folder.folder import Settled, WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger, name_of
from gateway.dropfolder.watched_folder.scanning import files_below, signature_of
from gateway.dropfolder.watched_folder.settled_files import SettledFiles
from gateway.dropfolder.watched_folder.settling import Settling
from gateway.errors import ObjectNotFoundError
from tests.support.gateway import until
from tests.support.inotify import limited
from tests.support.unprivileged import answer_of, public_folder

SETTLE_S = 0.4


async def listen(folder: WatchedFolder, keys: list[str]) -> None:
    """Add the keys that are told to those told before, for ever."""
    async with aclosing(folder.settled()) as batches:
        async for batch in batches:
            keys += [file.key for file in batch]


async def told_next(batches: AsyncIterator[list[Settled]]) -> list[str]:
    return [file.key for file in await anext(batches)]


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The keys that were told so far, of the folder `drop`."""
    (tmp_path / "drop/there").mkdir(parents=True)
    (tmp_path / "drop/there/before.png").write_bytes(b"1")
    keys: list[str] = []

    folder = WatchedFolder(tmp_path / "drop", ledger=Ledger(None), settle_s=SETTLE_S)
    task = asyncio.create_task(listen(folder, keys))
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


def preset(image: Path, data: bytes) -> None:
    """Write the bytes in place, and set the time to the original's as copies do."""
    with image.open("r+b" if image.exists() else "wb") as file:
        file.write(data)
    os.utime(image, (1.3e9, 1.3e9))


async def test_folder_in_place_of_one_that_went_is_watched(told: list[str], tmp_path: Path):
    for number in range(2):
        (tmp_path / "drop/new").mkdir()
        (tmp_path / f"drop/new/{number}.png").write_bytes(b"1")
        await until(lambda number=number: told[1:] == [f"new/{n}.png" for n in range(number + 1)])
        shutil.rmtree(tmp_path / "drop/new")


async def test_hidden_files_links_and_pipes_are_passed_over(told: list[str], tmp_path: Path):
    drop = tmp_path / "drop"
    (drop / ".git").mkdir()
    (drop / ".git/a.png").write_bytes(b"1")
    (drop / "there/.x.png.Ab12Cd").write_bytes(b"1")
    (drop / "there/link.png").symlink_to("before.png")
    os.mkfifo(drop / "there/pipe.png")
    Path(os.fsdecode(os.fsencode(drop) + b"/r\xf6ntgen.png")).write_bytes(b"1")
    (drop / "z.png").write_bytes(b"1")
    await until(lambda: told == ["there/before.png", "z.png"])


async def test_folders_that_go_while_they_are_looked_through_end_no_watch(tmp_path: Path):
    def come_and_go() -> None:
        for number in range(400):
            (tmp_path / f"{number}/a/b").mkdir(parents=True)
            shutil.rmtree(tmp_path / f"{number}")

    coming = asyncio.create_task(asyncio.to_thread(come_and_go))
    failed: list[str] = []
    while not coming.done():
        await asyncio.to_thread(
            lambda: list(
                files_below(str(tmp_path), lambda _path: None, lambda path, _: failed.append(path))
            )
        )
    await coming
    assert failed == []


WATCH = """
import asyncio, sys
from contextlib import aclosing
from pathlib import Path
from gateway.observability import logs
from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.settings import LogSettings

async def listen(rescan_s: float) -> None:
    folder = WatchedFolder(
        Path(sys.argv[1]), ledger=Ledger(None), settle_s=0.2, rescan_s=rescan_s, poll_s=0.2
    )
    async with aclosing(folder.settled()) as batches:
        async for batch in batches:
            for file in batch:
                print(file.key, flush=True)

logs.configure(LogSettings(format="json"))
asyncio.run(listen(float(sys.argv[2])))
"""


@asynccontextmanager
async def listening(
    folder: Path, prefix: Sequence[str], rescan_s: float = 3600
) -> AsyncIterator[tuple[list[str], list[dict[str, Any]]]]:
    """What a process of its own is told of the folder, and its log."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-c", WATCH, str(folder), str(rescan_s)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told: list[str] = []
    log: list[dict[str, Any]] = []

    async def collect(stream: asyncio.StreamReader, note: Callable[[str], None]) -> None:
        while line := await stream.readline():
            note(line.decode().rstrip())

    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        asyncio.create_task(collect(process.stdout, told.append)),
        asyncio.create_task(collect(process.stderr, lambda line: log.append(json.loads(line)))),
    ]
    try:
        yield told, log
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(*readers)


@pytest.mark.parametrize(
    ("what", "count", "reason", "limit"),
    [
        ("instances", 0, "EMFILE", "fs.inotify.max_user_instances"),
        ("watches", 3, "ENOSPC", "fs.inotify.max_user_watches"),
    ],
)
async def test_folder_is_polled_where_inotify_has_too_little_left(
    tmp_path: Path, what: str, count: int, reason: str, limit: str
):
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
    async with listening(tmp_path, limited(what, count)) as (told, log):
        await until(lambda: bool(log))
        for number in range(10):  # each found though nothing tells of it
            (tmp_path / f"{number}/x.png").write_bytes(b"1")
            await until(lambda number=number: f"{number}/x.png" in told)
    [warning] = log
    assert (warning["event"], warning["level"]) == ("dropfolder.polling", "warning")
    assert (warning["reason"], warning["limit"]) == (reason, limit)
    assert warning["value"] == int(Path("/proc/sys", limit.replace(".", "/")).read_text())
    assert f"raise {limit}" in warning["cure"]


async def test_watches_that_run_out_later_are_noticed(tmp_path: Path):
    async with listening(tmp_path, limited("watches", 3)) as (told, log):
        for number in range(10):
            (tmp_path / f"{number}").mkdir()
            (tmp_path / f"{number}/x.png").write_bytes(b"1")
            await until(lambda number=number: f"{number}/x.png" in told)
            (tmp_path / f"{number}/y.png").write_bytes(b"1")
            await until(lambda number=number: f"{number}/y.png" in told)
    assert [line["limit"] for line in log] == ["fs.inotify.max_user_watches"]


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


async def test_folder_that_is_to_be_polled_takes_nothing_of_inotify(tmp_path: Path):
    folder = WatchedFolder(tmp_path, ledger=Ledger(None), settle_s=0.1, poll_s=0.1, polling=True)
    (tmp_path / "x.png").write_bytes(b"1")
    async with aclosing(folder.settled()) as files:
        assert await told_next(files) == ["x.png"]
        (tmp_path / "y.png").write_bytes(b"1")
        assert await told_next(files) == ["y.png"]
        assert not folder._notifier.is_on


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


async def restarted(drop: Path, ledger: Path, *expected: str) -> list[Settled]:
    """What a gateway is told that is started on the folder; it takes nothing."""
    folder = WatchedFolder(drop, ledger=Ledger(ledger), settle_s=0.05)
    found: list[Settled] = []
    async with aclosing(folder.settled()) as batches:
        while len(found) < len(expected):
            found += await anext(batches)
    folder.ledger.close()
    assert [file.key for file in found] == list(expected)
    return found


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


CLOSED_FILE = """
import asyncio, json, os, sys
from contextlib import aclosing
from pathlib import Path
import anyio._backends._asyncio  # imported by name on first use, when its folder may be closed
import structlog
from gateway.dropfolder.watched_folder.folder import WatchedFolder
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


READ_CLOSED_FILE = """
import asyncio, json, sys
from pathlib import Path
from gateway.dropfolder.watched_folder.settled_files import DroppedFiles
from gateway.errors import ObjectNotReadableError
from tests.support.unprivileged import drop_privileges

drop_privileges()
image = Path(sys.argv[1]) / "x.png"
image.write_bytes(b"1")
image.chmod(0)
try:
    asyncio.run(DroppedFiles(image.parent).read("x.png"))
except ObjectNotReadableError as error:
    print(json.dumps(error.reason))
"""


def test_file_that_is_closed_to_the_gateway_is_no_trouble_of_the_store():
    with public_folder() as folder:
        folder.chmod(0o777)
        assert answer_of(READ_CLOSED_FILE, folder) == "permission denied"


async def test_order_of_arrival_survives_a_restart(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "ledger.sqlite3"
    drop.mkdir()
    names = ["d.png", "a.png", "c.png", "b.png"]
    for name in names:
        (drop / name).write_bytes(b"1")
        os.utime(drop / name, (1, 1))
    await restarted(drop, path, *names)
    for name in sorted(names):
        (drop / name).chmod(0o600)  # which is no change of the file
    await restarted(drop, path, *names)


async def test_what_was_taken_is_known_again_when_its_folder_is_back(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "ledger.sqlite3"
    drop.mkdir()
    (drop / "x.png").write_bytes(b"1")
    ledger = Ledger(path)
    ledger.take([file.file for file in await restarted(drop, path, "x.png")])
    drop.rename(tmp_path / "away")
    drop.mkdir()
    (drop / "y.png").write_bytes(b"1")
    await restarted(drop, path, "y.png")
    (drop / "y.png").rename(tmp_path / "away/y.png")
    drop.rmdir()
    (tmp_path / "away").rename(drop)
    (drop / "z.png").write_bytes(b"1")
    await restarted(drop, path, "y.png", "z.png")
    ledger.close()


async def test_two_gateways_on_one_folder_know_what_the_other_took(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "ledger.sqlite3"
    first, second = (
        WatchedFolder(drop, ledger=Ledger(path), settle_s=settle_s) for settle_s in (0.05, 0.3)
    )
    async with aclosing(first.settled()) as one, aclosing(second.settled()) as other:
        taking = asyncio.create_task(told_next(one))
        waiting = asyncio.create_task(told_next(other))
        await until(lambda: first._notifier.is_on and second._notifier.is_on)
        (drop / "x.png").write_bytes(b"1")
        assert await taking == ["x.png"]
        [file] = Ledger(path).arrive(
            [("x.png", signature_of((drop / "x.png").stat(), numbered=True))]
        )
        first.ledger.take([file])
        (drop / "y.png").write_bytes(b"1")
        assert await waiting == ["y.png"]


async def test_damaged_ledger_costs_a_second_look_and_no_more(tmp_path: Path):
    drop, path = tmp_path / "drop", tmp_path / "ledger.sqlite3"
    drop.mkdir()
    (drop / "x.png").write_bytes(b"1")
    ledger = Ledger(path)
    ledger.take([file.file for file in await restarted(drop, path, "x.png")])
    ledger.close()
    path.write_bytes(b"no database at all" * 100)
    found = await restarted(drop, path, "x.png")
    ledger = Ledger(path)
    ledger.take([file.file for file in found])
    assert list(ledger.taken()) == [name_of("x.png")]
    ledger.close()


@pytest.mark.parametrize(
    ("sidecar", "image"),
    [
        ("x.json", "x.png"),
        ("1.2.3.json", "1.2.3"),
        ("IM000001.JSON", "IM000001"),
        ("\u00fc.json", "u\u0308.png"),
    ],
)
async def test_halves_of_a_pair_are_told_together(
    told: list[str], tmp_path: Path, sidecar: str, image: str
):
    drop = tmp_path / "drop"
    (drop / sidecar).write_bytes(b"{}")
    with (drop / image).open("wb", buffering=0) as file:
        for _ in range(8):
            file.write(b"1")
            await asyncio.sleep(SETTLE_S / 4)
            assert told == ["there/before.png"]
    await until(lambda: sorted(told[1:]) == sorted([sidecar, image]))


async def test_files_that_are_called_by_their_uid_do_not_wait_for_each_other(
    told: list[str], tmp_path: Path
):
    (tmp_path / "drop/1.2.3").write_bytes(b"1")
    with (tmp_path / "drop/1.2.4").open("wb", buffering=0) as file:
        while told[1:] != ["1.2.3"]:
            file.write(b"1")
            await asyncio.sleep(SETTLE_S / 8)
    await until(lambda: told[1:] == ["1.2.3", "1.2.4"])


# --- what looks half-copied -----------------------------------------------------------------------


@asynccontextmanager
async def doubting(drop: Path, doubtful_settle_s: float) -> AsyncIterator[list[str]]:
    """What is told of a folder by one who doubts for so long."""
    folder = WatchedFolder(
        drop, ledger=Ledger(None), settle_s=0.1, doubtful_settle_s=doubtful_settle_s
    )
    keys: list[str] = []
    task = asyncio.create_task(listen(folder, keys))
    try:
        yield keys
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_copy_that_has_its_length_first_is_told_when_its_bytes_are_there(tmp_path: Path):
    whole = b"\x01" * 500_000
    async with doubting(tmp_path, 3600) as told:
        (tmp_path / "zeros.dcm").write_bytes(whole[:200_000] + b"\0" * 300_000)
        (tmp_path / "zeros.json").write_bytes(b"{}")
        with (tmp_path / "hole.dcm").open("wb") as file:
            file.truncate(len(whole))
            file.seek(400_000)
            file.write(whole[400_000:])
        held = (tmp_path / "open.dcm").open("wb")
        held.write(whole)
        held.flush()
        (tmp_path / "y.png").write_bytes(b"1")
        await until(lambda: told == ["y.png"])
        (tmp_path / "z.png").write_bytes(b"1")
        await until(lambda: told == ["y.png", "z.png"])
        held.close()
        await until(lambda: told[2:] == ["open.dcm"])
        for name in ("zeros.dcm", "hole.dcm"):
            with (tmp_path / name).open("r+b") as file:
                file.write(whole)
        await until(lambda: sorted(told[3:]) == ["hole.dcm", "zeros.dcm", "zeros.json"])


async def test_black_border_makes_the_wait_longer_and_no_more(tmp_path: Path):
    async with doubting(tmp_path, 0.5) as told:
        (tmp_path / "x.dcm").write_bytes(b"\x01" * 10_000 + b"\0" * 5_000)
        with (tmp_path / "y.dcm").open("wb") as file:  # nobody closes it
            file.write(b"\x01" * 100)
            file.flush()
            (tmp_path / "z.png").write_bytes(b"1")
            await until(lambda: sorted(told) == ["x.dcm", "y.dcm", "z.png"])
    assert told[0] == "z.png"


async def test_file_that_is_being_copied_is_not_there_for_those_who_look_beside_another(
    tmp_path: Path,
):
    folder = WatchedFolder(tmp_path, ledger=Ledger(None), settle_s=0.05)
    files = SettledFiles(tmp_path, folder.is_whole)
    (tmp_path / "x.json").write_bytes(b"{}")
    async with aclosing(folder.settled()) as batches:
        assert await told_next(batches) == ["x.json"]
        (tmp_path / "x.png").write_bytes(b"1" * 10 + b"\0" * 100)
        assert await files.keys("x.") == ["x.json"]
        with pytest.raises(ObjectNotFoundError):
            await files.read("x.png")
        (tmp_path / "x.png").write_bytes(b"1" * 110)
        assert await told_next(batches) == ["x.png"]
        assert await files.keys("x.") == ["x.json", "x.png"]
        assert await files.read("x.png") == b"1" * 110
        (tmp_path / "x.json").write_bytes(b'{"a"')
        assert await files.keys("x.") == ["x.png"]


async def test_bytes_that_come_without_a_sign_make_the_wait_begin_anew(tmp_path: Path):
    """A file server may keep the time that a copy has set, whatever is written after that."""
    path = tmp_path / "x.dcm"
    path.write_bytes(b"\0" * 10_000)
    os.utime(path, (1, 1))
    settling = Settling(settle_s=0.01, doubtful_settle_s=0.3)
    settling.numbered = False
    settling.add(str(path), path.stat(), was_there=False)
    for number in range(8):
        with path.open("r+b") as file:
            file.seek(100 * number)
            file.write(b"1" * 100)
        os.utime(path, (1, 1))
        await asyncio.sleep(0.1)
        assert settling.take() == []
    await until(lambda: [file.path for file in settling.take()] == [str(path)])
