"""Linux's inotify: the paths in a tree of folders that something happened to.

By hand and not by the package watchfiles, which hides which folders it has no watch for and which
limit it met, and ends over one name that is not UTF-8.

References
----------
inotify(7)
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

# IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE: a file that is written to all the time is told
# of when it comes and when its writer closes it, not with every write.
_EVENTS: Final = 0x4 | 0x8 | 0x80 | 0x100
# IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK
_HOW: Final = 0x01000000 | 0x02000000 | 0x04000000
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000

_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ_BYTES = 1 << 16
# What there is no more of, by the error that says so; both are limits of a user's.
_LIMITS = {errno.EMFILE: "max_user_instances", errno.ENOSPC: "max_user_watches"}


class NotificationError(Exception):
    """Nothing is told of changes in some folder.

    Parameters
    ----------
    reason
        Name of the error, such as EMFILE.
    limit
        Name of the kernel's setting that was met, if it is one.
    """

    def __init__(self, reason: str, limit: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.limit = limit


class Inotify:
    """An inotify instance, which takes one of the user's until it is closed.

    Raises
    ------
    NotificationError
        There is none left, or this system has no inotify.

    Attributes
    ----------
    descriptor : int
        Can be read from when there is something to `take`.
    """

    def __init__(self) -> None:
        try:
            self._c = ctypes.CDLL(None, use_errno=True)
            self.descriptor: int = self._c.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError) as error:  # another system than Linux
            raise NotificationError("ENOSYS") from error
        if self.descriptor < 0:
            raise _error()
        self._folders: dict[int, str] = {}

    def watch(self, folder: str) -> None:
        """Tell of the folder from now on; once more does no harm. One that is gone is passed over.

        Raises
        ------
        NotificationError
            No watch is left, or the file system has none.
        """
        watch = self._c.inotify_add_watch(self.descriptor, os.fsencode(folder), _EVENTS | _HOW)
        if watch >= 0:
            self._folders[watch] = folder
        elif ctypes.get_errno() not in {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP}:
            raise _error()

    def take(self) -> tuple[set[str], bool]:
        """Paths that something happened to since the last time, and whether there were others.

        Others there were where more happened than the kernel keeps.
        """
        paths: set[str] = set()
        overflowed = False
        while data := self._read():
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length
                overflowed |= bool(mask & _OVERFLOW)
                if mask & _IGNORED:
                    self._folders.pop(watch, None)
                elif name and watch in self._folders:
                    paths.add(os.path.join(self._folders[watch], name))  # noqa: PTH118 - of many
        return paths, overflowed

    def close(self) -> None:
        """Give the instance and its watches back."""
        os.close(self.descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""


def limit(name: str) -> int | None:
    """Return the value of one of inotify's limits here, as far as the system tells."""
    try:
        with open(f"/proc/sys/fs/inotify/{name}") as file:  # noqa: PTH123 - no path of ours
            return int(file.read())
    except (OSError, ValueError):
        return None


def _error() -> NotificationError:
    number = ctypes.get_errno()
    return NotificationError(errno.errorcode.get(number, str(number)), _LIMITS.get(number))
