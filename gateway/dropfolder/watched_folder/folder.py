"""A folder that is watched for files, each told once it has been copied to its end."""

from __future__ import annotations

import asyncio
import stat
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread
import structlog

from gateway.dropfolder.watched_folder.ledger import name_of
from gateway.dropfolder.watched_folder.mounts import file_system
from gateway.dropfolder.watched_folder.notifier import Notifier
from gateway.dropfolder.watched_folder.rewritten_files import Contents
from gateway.dropfolder.watched_folder.scanning import (
    UNREADABLE,
    Signature,
    files_below,
    is_readable,
    signature_of,
    status_of,
)
from gateway.dropfolder.watched_folder.settling import Settling
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.dropfolder.watched_folder.ledger import File, Ledger
    from gateway.dropfolder.watched_folder.settling import Whole

log = structlog.get_logger()

# Going through the folder takes at most this part of a core, and of what a file server can do.
_SHARE_OF_A_CORE: Final = 0.05
_SHARE_OF_A_SERVER: Final = 0.5
# The longest that a folder which cannot be read is left alone.
_LONGEST_PAUSE_S: Final = 60.0


class WatchedFolderError(Exception):
    """The folder cannot be watched; the message says what to do."""


class Settled(NamedTuple):
    """A file that is whole.

    Parameters
    ----------
    key
        Its path relative to the root.
    signature
        As it is now.
    was_there
        True if it lay there already when the folder began to be watched.
    """

    key: str
    signature: Signature
    was_there: bool

    @property
    def file(self) -> File:
        """The file as the ledger has it."""
        return self.key, self.signature


class WatchedFolder:
    """Files under a folder.

    Each is told once it is whole (see `Settling`), and again should it change after that.

    The system tells of changes where it can. It tells nothing of what another machine writes to a
    network file system, nor where a limit is met, and it may forget: so the whole folder is gone
    through now and then whatever it tells, and often where it tells nothing.

    Parameters
    ----------
    folder
        The root; made if it does not exist.
    ledger
        Knows the files that were taken before: they are not told unless they have changed.
    settle_s, doubtful_settle_s
        See `Settling`.
    rescan_s
        Seconds between two looks through the whole folder where changes are told of.
    poll_s
        The same where they are not. Both are longer where a look takes long.
    polling
        See `Notifier`.

    Attributes
    ----------
    ledger : Ledger
        As it was given.

    Raises
    ------
    WatchedFolderError
        There is no such folder, and it cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ledger: Ledger,
        settle_s: float,
        doubtful_settle_s: float = 60.0,
        rescan_s: float = 60.0,
        poll_s: float = 1.0,
        polling: bool | None = None,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or "input/output error"
            raise WatchedFolderError(
                f"the drop folder {folder.absolute()} cannot be made: {reason}; "
                f"{PREFIX}DROPFOLDER{DELIMITER}FOLDER chooses another folder"
            ) from error
        self._folder = folder.resolve()  # itself it may be a link
        self._root = str(self._folder)
        self.ledger = ledger
        self._tick_s = max(0.01, settle_s / 4)
        self._settling = Settling(settle_s=settle_s, doubtful_settle_s=doubtful_settle_s)
        self._rescan_s = rescan_s
        self._poll_s = poll_s
        self._notifier = Notifier(polling=polling)
        self._known: dict[
            bytes, Signature
        ] = {}  # by name in the ledger, as they were when they were told
        self._contents = Contents()
        self._is_first = True
        self._rescan_at = self._earliest_at = 0.0
        self._pause_s = 0.0  # after the last look through the whole folder
        self._unreadable: set[str] = set()
        self._not_text: set[str] = set()

    async def settled(self) -> AsyncIterator[list[Settled]]:
        """Yield files that are whole, in the order in which they came.

        First those that are there, then each that comes or changes, for ever.
        """
        self._known = await anyio.to_thread.run_sync(self.ledger.taken)
        self._contents.recall(await anyio.to_thread.run_sync(self.ledger.contents))
        with closing(self._notifier):
            while True:
                # A server that does not answer keeps the thread, not the gateway.
                settled = await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True)
                if settled:
                    yield settled
                if self._settling:
                    await asyncio.sleep(self._tick_s)
                else:
                    await self._notifier.wait(max(0.0, self._rescan_at - time.monotonic()))

    def is_whole(self, key: str) -> bool:
        """Return True if the file is known to be copied to its end and has not changed since."""
        status = status_of(f"{self._root}/{key}")
        return status is not None and self._is_known(name_of(key), status)

    def _look(self) -> list[Settled]:
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
        return self._tell(self._settling.take())

    def _rescan(self) -> None:
        """Note everything that is new or has changed, whatever was told of it."""
        began, began_cpu = time.monotonic(), time.thread_time()
        system = file_system(self._folder)
        self._settling.numbered = system.numbers_files
        self._notifier.renew(system.remote)
        failures: dict[str, OSError] = {}
        there = set()
        for path, status in files_below(self._root, self._notifier.watch, failures.__setitem__):
            self._add(path, status)
            there.add(name_of(self._key(path)))
        self._notifier.complete()
        self._tell_unreadable(failures)
        missing = self._known.keys() - there
        if missing:
            self.ledger.miss(missing)
            for name in missing:
                del self._known[name]
            self._contents.forget(missing)
        self._is_first = False
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
        if any(step.startswith(".") for step in self._key(path).split("/")):
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
        name = name_of(self._key(path))
        if self._is_known(name, status) and not self._may_have_changed(name, path, status):
            return
        if _is_text(path):
            self._settling.add(path, was_there=self._is_first)
        elif path not in self._not_text:
            self._not_text.add(path)
            log.warning("dropfolder.name_not_utf8")  # no key, so it cannot even be parked

    def _may_have_changed(self, name: bytes, path: str, status: os.stat_result) -> bool:
        """Return True if a known file may hold other bytes, or is readable at last."""
        if self._known[name].rewritten_ns == UNREADABLE:
            return is_readable(path)
        return self._settling.numbered and self._contents.may_be_others(name, status)

    def _tell(self, whole: list[Whole]) -> list[Settled]:
        """Return those of these files that were not taken, in the order in which they came."""
        if not whole:
            return []
        self._contents.begin()
        came = []
        for file in sorted(whole, key=lambda file: (file.status.st_ctime_ns, file.path)):
            key, name = self._key(file.path), name_of(self._key(file.path))
            signature = self._told_as(name, file)
            if self._known.get(name) != signature:  # or it was but linked, or given another mode
                self._known[name] = signature
                came.append((key, signature))
        self.ledger.note_contents(self._contents.fresh())
        there = {self._key(file.path) for file in whole if file.was_there}
        return [Settled(*file, file[0] in there) for file in self.ledger.arrive(came)]

    def _told_as(self, name: bytes, file: Whole) -> Signature:
        """Return the file's signature, another one if other bytes are in it than were told."""
        known = self._known[name] if self._is_known(name, file.status) else None
        if not is_readable(file.path):
            self._contents.pass_over(name, file.status)
            return known or self._signature(file.status)._replace(rewritten_ns=UNREADABLE)
        are_others = self._contents.note(name, file)
        if known is None:
            return self._signature(file.status)
        if are_others or known.rewritten_ns == UNREADABLE:
            return known._replace(rewritten_ns=file.status.st_ctime_ns)
        return known

    def _is_known(self, name: bytes, status: os.stat_result) -> bool:
        known = self._known.get(name)
        return known is not None and known._replace(rewritten_ns=0) == self._signature(status)

    def _key(self, path: str) -> str:
        return path[len(self._root) + 1 :]

    def _signature(self, status: os.stat_result) -> Signature:
        return signature_of(status, numbered=self._settling.numbered)

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
