"""A folder that is watched."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from tests.gateway.dropfolder.watched_folder.listening import (
    SETTLE_S,
    listen,
)
from tests.support.gateway import until


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
