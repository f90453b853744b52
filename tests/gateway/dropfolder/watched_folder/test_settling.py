"""The wait until a file is whole, and those that wait for each other."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.dropfolder.watched_folder.settling import Settling
from tests.gateway.dropfolder.watched_folder.listening import (
    SETTLE_S,
    listen,
)
from tests.support.gateway import until


async def test_file_is_not_told_while_it_grows(told: list[str], tmp_path: Path):
    with (tmp_path / "drop/x.png").open("wb", buffering=0) as file:
        for _ in range(12):  # for three times as long as a file needs to settle
            file.write(b"1")
            await asyncio.sleep(SETTLE_S / 4)
            assert told == ["there/before.png"]
    await until(lambda: told[1:] == ["x.png"])


@pytest.mark.parametrize(
    ("sidecar", "image"),
    [
        ("x.json", "x.png"),
        ("x.png.json", "x.png"),
        ("x.png.json", "x.png.png"),
        ("1.2.3.DCM.JSON", "1.2.3.DCM"),
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


async def test_bytes_that_come_without_a_sign_make_the_wait_begin_anew(tmp_path: Path):
    """A file server may keep the time that a copy has set, whatever is written after that."""
    path = tmp_path / "x.dcm"
    path.write_bytes(b"\0" * 10_000)
    os.utime(path, (1, 1))
    settling = Settling(settle_s=0.01, doubtful_settle_s=0.3)
    settling.numbered = False
    settling.add(str(path), was_there=False)
    for number in range(8):
        with path.open("r+b") as file:
            file.seek(100 * number)
            file.write(b"1" * 100)
        os.utime(path, (1, 1))
        await asyncio.sleep(0.1)
        assert settling.take() == []
    await until(lambda: [file.path for file in settling.take()] == [str(path)])


async def test_files_that_were_found_together_settle_together(tmp_path: Path):
    """However long the walk through the folder took that found them."""
    settling = Settling(settle_s=0.2, doubtful_settle_s=0.2)
    paths = [str(tmp_path / name) for name in ("late.png", "early.png")]
    for path in paths:
        Path(path).write_bytes(b"1")
        settling.add(path, was_there=True)
        await asyncio.sleep(0.25)
    assert settling.take() == []
    await asyncio.sleep(0.25)
    assert [file.path for file in settling.take()] == paths
