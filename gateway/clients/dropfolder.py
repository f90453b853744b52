"""A folder that is watched for files, each told once it has been copied to its end."""

from __future__ import annotations

import asyncio
import stat
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread
import structlog

from gateway.clients.mounts import remote_file_system
from gateway.clients.notifier import Notifier
from gateway.clients.scanning import Signature, files_below, signature_of, status_of

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from pathlib import Path

log = structlog.get_logger()

# Going through the folder takes at most this part of a core, and of what a file server can do.
_SHARE_OF_A_CORE: Final = 0.05
_SHARE_OF_A_SERVER: Final = 0.5
# The longest that a folder which cannot be read is left alone.
_LONGEST_PAUSE_S: Final = 60.0


class _Seen(NamedTuple):
    """A file that may still be written to, as it was when it had last changed."""

    signature: tuple[int, ...]
    since: float


class WatchedFolder:
    """Files under a folder.

    No system tells when the last writer closes a file, and a copy over the network may pause. A
    file counts as whole when nothing of it has changed for a while; should it change after that,
    it is told again.

    The system tells of changes where it can. It tells nothing of what another machine writes to a
    network file system, nor where a limit is met, and it may forget: so the whole folder is gone
    through now and then whatever it tells, and often where it tells nothing.

    Parameters
    ----------
    folder
        The root; made if it does not exist.
    settle_s
        Seconds without a change.
    rescan_s
        Seconds between two looks through the whole folder where changes are told of.
    poll_s
        The same where they are not. Both are longer where a look takes long.
    polling
        See `Notifier`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settle_s: float,
        rescan_s: float = 60.0,
        poll_s: float = 1.0,
        polling: bool | None = None,
    ) -> None:
        self._folder = folder.resolve()  # itself it may be a link
        self._root = str(self._folder)
        self._settle_s = settle_s
        self._rescan_s = rescan_s
        self._poll_s = poll_s
        self._notifier = Notifier(polling=polling)
        self._remote = False
        self._known: dict[str, Signature] = {}  # as they were when they were told
        self._changing: dict[str, _Seen] = {}
        self._rescan_at = self._earliest_at = 0.0
        self._pause_s = 0.0  # after the last look through the whole folder
        self._unreadable: set[str] = set()

    async def settled(self) -> AsyncIterator[str]:
        """Yield keys, relative to the root, of files that are whole.

        First those that are there, then each that comes or changes, for ever.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        tick_s = max(0.01, self._settle_s / 4)
        with closing(self._notifier):
            while True:
                # A server that does not answer keeps the thread, not the gateway.
                for path in await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True):
                    yield path[len(self._root) + 1 :]
                if self._changing:
                    await asyncio.sleep(tick_s)
                else:
                    await self._notifier.wait(max(0.0, self._rescan_at - time.monotonic()))

    def _look(self) -> list[str]:
        """Note what came; the files that have settled."""
        paths, overflowed = self._notifier.take()
        if overflowed:  # which may come again and again
            self._rescan_at = min(self._rescan_at, self._earliest_at)
        if time.monotonic() >= self._rescan_at:
            self._rescan()
        else:
            was_on = self._notifier.is_on
            for path in paths:
                self._notice(path)
            if was_on and not self._notifier.is_on:  # a folder too many
                self._rescan_at = self._earliest_at
        return self._take_settled()

    def _rescan(self) -> None:
        """Note everything that is new or has changed, whatever was told of it."""
        began, began_cpu = time.monotonic(), time.thread_time()
        kind = remote_file_system(self._folder)
        self._remote = kind is not None
        self._notifier.renew(kind)
        failures: dict[str, OSError] = {}
        for path, status in files_below(self._root, self._notifier.watch, failures.__setitem__):
            self._add(path, status)
        self._notifier.complete()
        self._tell_unreadable(failures)
        self._plan(time.monotonic() - began, time.thread_time() - began_cpu)

    def _plan(self, took_s: float, cpu_s: float) -> None:
        """Say when the whole folder is gone through again."""
        usual_s = self._rescan_s if self._notifier.is_on else self._poll_s
        if self._root in self._unreadable:
            usual_s = min(max(self._poll_s, 2 * self._pause_s), _LONGEST_PAUSE_S)
        least_s = max(cpu_s / _SHARE_OF_A_CORE, took_s / _SHARE_OF_A_SERVER)
        self._pause_s = max(usual_s, least_s)
        self._earliest_at = time.monotonic() + least_s
        self._rescan_at = time.monotonic() + self._pause_s

    def _notice(self, path: str) -> None:
        """Note one path that something happened to, and what lies below it."""
        if any(step.startswith(".") for step in path[len(self._root) + 1 :].split("/")):
            return
        status = status_of(path)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            self._add(path, status)
            return
        for found in files_below(path, self._notifier.watch, lambda _path, _error: None):
            self._add(*found)

    def _add(self, path: str, status: os.stat_result) -> None:
        if path in self._changing:
            return
        if self._known.get(path) == signature_of(status, remote=self._remote):
            return
        if not _is_text(path):
            self._known[path] = signature_of(status, remote=self._remote)
            log.warning("dropfolder.name_not_utf8")  # no key, so it cannot even be parked
            return
        self._changing[path] = _Seen(self._state(status), time.monotonic())

    def _take_settled(self) -> list[str]:
        """The files that have not changed for long enough; they are known from now on."""
        now = time.monotonic()
        settled = []
        for path, seen in list(self._changing.items()):
            status = status_of(path)
            if status is None or stat.S_ISDIR(status.st_mode):
                del self._changing[path]
            elif (state := self._state(status)) != seen.signature:
                self._changing[path] = _Seen(state, now)
            elif now - seen.since >= self._settle_s:
                del self._changing[path]
                self._known[path] = signature_of(status, remote=self._remote)
                settled.append(path)
        return settled

    def _state(self, status: os.stat_result) -> tuple[int, ...]:
        """Everything that a write changes: a copy may set length and time in advance."""
        signature = signature_of(status, remote=self._remote)
        # Programs that serve a file system make the other numbers up, some anew each time.
        return signature if self._remote else (*signature, status.st_ctime_ns, status.st_blocks)

    def _tell_unreadable(self, failures: dict[str, OSError]) -> None:
        """Warn once of folders that cannot be looked into."""
        for path in failures.keys() - self._unreadable:
            log.warning(
                "dropfolder.unreadable",
                error=type(failures[path]).__name__,
                whole=path == self._root,
            )
        self._unreadable = set(failures)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
