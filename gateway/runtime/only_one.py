"""Turns that several processes on one machine take one at a time."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_LOOK_S = 0.05


class OnlyOne:
    """Turns by locks on files, which end with the process that has them.

    Parameters
    ----------
    folder
        Folder of the files, which all processes share; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[bool]:
        """Yield, once no other process is in its turn of this name.

        True if the turn is to be used; False where another process used one meanwhile. A turn
        whose block fails was not used.
        """
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            used = os.fstat(descriptor).st_size  # a byte for each turn
            while not _is_locked(descriptor):  # noqa: ASYNC110 - a lock has no event
                await asyncio.sleep(_LOOK_S)
            if os.fstat(descriptor).st_size > used:
                yield False
            else:
                yield True
                os.write(descriptor, b".")
        finally:
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Return True if the file is locked for this process now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
