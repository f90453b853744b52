"""A folder that is watched for files, each told once it has been copied to its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from watchfiles import Change, awatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# What tells a file that is still written from one that is not: size and time of the last write.
_Signature = tuple[int, int]


class WatchedFolder:
    """Files under a folder.

    No system tells when the last writer closes a file, and a copy over the network may pause. A
    file counts as whole when its size and time have not changed for a while; should it change
    after that, it is told again.

    Parameters
    ----------
    folder
        The root; made if it does not exist.
    settle_s
        Seconds without a change.
    """

    def __init__(self, folder: Path, *, settle_s: float) -> None:
        self._folder = folder.absolute()
        self._settle_s = settle_s
        self._changing: dict[Path, tuple[_Signature, float]] = {}

    async def settled(self) -> AsyncIterator[str]:
        """Yield keys, relative to the root, of files that are whole.

        First those that are there, then each that comes or changes, for ever.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        pause_ms = max(10, int(self._settle_s * 1000 / 4))
        watching = awatch(self._folder, step=pause_ms, rust_timeout=pause_ms, yield_on_timeout=True)
        first = True
        async for changes in watching:
            # Only now is the watch on: what came before is found, what comes later is told.
            came = [self._folder] if first else []
            came += [Path(path) for change, path in changes if change is not Change.deleted]
            first = False
            for path in await anyio.to_thread.run_sync(self._look, came):
                yield path.relative_to(self._folder).as_posix()

    def _look(self, came: list[Path]) -> list[Path]:
        """Note what came; the files that have settled."""
        now = time.monotonic()
        for path in came:
            self._changing.setdefault(path, ((-1, -1), now))
        settled = []
        for path, (before, since) in list(self._changing.items()):
            signature = _signature(path)
            if signature is None:
                del self._changing[path]
            elif signature != before:
                self._changing[path] = (signature, now)
                if path.is_dir():
                    self._enter(path, now)
            elif now - since >= self._settle_s:
                del self._changing[path]
                if path.is_dir():  # what came into a new folder before it was watched
                    self._enter(path, now)
                else:
                    settled.append(path)
        return settled

    def _enter(self, folder: Path, now: float) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self._changing.setdefault(path, ((-1, -1), now))


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.stat()
    except OSError:  # gone, or a link to nothing
        return None
    return status.st_size, status.st_mtime_ns
