"""What was taken is known beyond a restart, and of another gateway."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger, name_of
from gateway.dropfolder.watched_folder.scanning import signature_of
from tests.gateway.dropfolder.watched_folder.listening import (
    restarted,
    told_next,
)
from tests.support.gateway import until


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
