"""Notifications where they are few, run out, or are not wanted."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from tests.gateway.dropfolder.watched_folder.listening import (
    told_next,
)
from tests.support.gateway import until
from tests.support.inotify import limited

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


async def test_folder_that_is_to_be_polled_takes_nothing_of_inotify(tmp_path: Path):
    folder = WatchedFolder(tmp_path, ledger=Ledger(None), settle_s=0.1, poll_s=0.1, polling=True)
    (tmp_path / "x.png").write_bytes(b"1")
    async with aclosing(folder.settled()) as files:
        assert await told_next(files) == ["x.png"]
        (tmp_path / "y.png").write_bytes(b"1")
        assert await told_next(files) == ["y.png"]
        assert not folder._notifier.is_on
