"""Scans of a folder: what is passed over, and what goes meanwhile."""

import asyncio
import os
import shutil
from pathlib import Path

from gateway.dropfolder.watched_folder.scanning import files_below
from tests.support.gateway import until


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
