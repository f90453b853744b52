"""Listening to a watched folder."""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from gateway.dropfolder.watched_folder.folder import Settled, WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger

SETTLE_S = 0.4


async def listen(folder: WatchedFolder, keys: list[str]) -> None:
    """Add the keys that are told to those told before, for ever."""
    async with aclosing(folder.settled()) as batches:
        async for batch in batches:
            keys += [file.key for file in batch]


async def told_next(batches: AsyncIterator[list[Settled]]) -> list[str]:
    return [file.key for file in await anext(batches)]


def preset(image: Path, data: bytes) -> None:
    """Write the bytes in place, and set the time to the original's as copies do."""
    with image.open("r+b" if image.exists() else "wb") as file:
        file.write(data)
    os.utime(image, (1.3e9, 1.3e9))


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
