"""Tells when something changes in a watched folder, for as long as the system tells it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import structlog

from gateway.dropfolder.watched_folder.inotify import Inotify, NotificationError, limit
from gateway.runtime.backoff import Backoff

log = structlog.get_logger()

# Until inotify is tried again after it failed; doubled each time.
_BACKOFF = Backoff(first_s=60.0, longest_s=3600.0)


class Notifier:
    """Notifications of a tree of folders, where they are to be had; else the tree is polled.

    Parameters
    ----------
    polling
        True never asks for notifications, False always does, None unless the file system is remote.
    """

    def __init__(self, *, polling: bool | None) -> None:
        self._polling = polling
        self._inotify: Inotify | None = None
        self._told: str | None = None  # why there are no notifications, as the log says already
        self._failures = 0
        self._retry_at = 0.0

    @property
    def is_on(self) -> bool:
        """True if changes are told of."""
        return self._inotify is not None

    def renew(self, remote: str | None) -> None:
        """Ask for notifications or do without, before the whole tree is watched anew.

        Parameters
        ----------
        remote
            Type of the tree's file system, where others write to it without this kernel.
        """
        if self._polling or (self._polling is None and remote is not None):
            self.close()
            self._tell_once("remote" if remote else "set", file_system=remote)
        elif self._inotify is None and time.monotonic() >= self._retry_at:
            try:
                self._inotify = Inotify()
            except NotificationError as error:
                self._fail(error)

    def watch(self, folder: str) -> None:
        """Tell of the folder from now on, where anything is told."""
        if self._inotify is None:
            return
        try:
            self._inotify.watch(folder)
        except NotificationError as error:
            self.close()  # others may do with the watches that were not enough here
            self._fail(error)

    def complete(self) -> None:
        """Note that the whole tree is watched, as far as it can be."""
        if self._inotify is not None and self._told is not None:
            log.info("dropfolder.notified")
            self._told, self._failures = None, 0

    def take(self) -> tuple[set[str], bool]:
        """See `Inotify.take`."""
        return self._inotify.take() if self._inotify else (set(), False)

    async def wait(self, timeout_s: float) -> None:
        """Return when there is something to take, or when the time is over."""
        if self._inotify is None:
            await asyncio.sleep(timeout_s)
            return
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        descriptor = self._inotify.descriptor
        loop.add_reader(descriptor, told.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await told.wait()
        finally:
            loop.remove_reader(descriptor)

    def close(self) -> None:
        """Give back what notifications take."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _fail(self, error: NotificationError) -> None:
        self._retry_at = time.monotonic() + _BACKOFF.wait_s(self._failures)
        self._failures += 1
        if self._told == error.reason:
            return
        self._told = error.reason
        name = error.limit and f"fs.inotify.{error.limit}"
        log.warning(
            "dropfolder.polling",
            reason=error.reason,
            limit=name,
            value=error.limit and limit(error.limit),
            cure=f"raise {name or 'the limit'} (sysctl), end other programs that take of it, or "
            "set RADSTREAM_DROPFOLDER__POLLING=true",
        )

    def _tell_once(self, reason: str, **facts: str | None) -> None:
        if self._told != reason:
            self._told = reason
            log.info("dropfolder.polling", reason=reason, **facts)
