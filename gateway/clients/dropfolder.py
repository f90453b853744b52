"""A folder that is watched for files, each told once it has been copied to its end."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog
from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger()

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
        self._folder = folder.resolve()  # itself it may be a link
        self._settle_s = settle_s
        self._changing: dict[Path, tuple[_Signature, float]] = {}

    async def settled(self) -> AsyncIterator[str]:
        """Yield keys, relative to the root, of files that are whole.

        First those that are there, then each that comes or changes, for ever.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        pause_ms = max(10, int(self._settle_s * 1000 / 4))
        while True:
            watching = awatch(
                self._folder, step=pause_ms, rust_timeout=pause_ms, yield_on_timeout=True
            )
            came = [self._folder]  # what was there before the watch was on; all of it comes again
            try:
                async for changes in watching:
                    came += [Path(path) for kind, path in changes if kind is not Change.deleted]
                    for path in await anyio.to_thread.run_sync(self._look, came):
                        yield path.relative_to(self._folder).as_posix()
                    came = []
            except* WatchfilesRustInternalError:
                # It ends over one name that is not UTF-8. The others are looked for again.
                log.warning("dropfolder.watch_broken")

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
        for parent, _, names in os.walk(folder):  # which passes over folders that go meanwhile
            for path in (Path(parent, name) for name in names):
                if _is_text(path):
                    self._changing.setdefault(path, ((-1, -1), now))
                else:
                    log.warning("dropfolder.name_not_utf8")  # no key, so it cannot even be parked


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _signature(path: Path) -> _Signature | None:
    try:
        status = path.lstat()
    except OSError:  # gone
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None  # a link, which may lead anywhere, or a pipe, which never ends
    return status.st_size, status.st_mtime_ns
