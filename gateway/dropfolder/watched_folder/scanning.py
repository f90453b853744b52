"""The present contents of a tree of folders."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Signature(NamedTuple):
    """The state of a file, which changes when it is written to.

    Parameters
    ----------
    size
        Bytes.
    mtime_ns
        Time of the last write, which a copy may set to the original's.
    inode
        Number of the file in its file system; 0 where it may be another the next time.
    rewritten_ns
        Time at which other bytes were found in it though all of the above is the same; 0 if they
        never were, and `UNREADABLE` if it is closed.
    """

    size: int
    mtime_ns: int
    inode: int
    rewritten_ns: int = 0


# A file that comes to be readable is another one, though it was given up before.
UNREADABLE: Final = -1


def signature_of(status: os.stat_result, *, numbered: bool) -> Signature:
    """Return the signature of a file with this status; see `FileSystem` for the numbers."""
    return Signature(status.st_size, status.st_mtime_ns, status.st_ino if numbered else 0)


def files_below(
    folder: str, enter: Callable[[str], None], failed: Callable[[str, OSError], None]
) -> Iterator[tuple[str, os.stat_result]]:
    """Path and status of every plain file; none whose name, or whose folder's, begins with a dot.

    Parameters
    ----------
    folder
        Folder to begin with.
    enter
        Told of each folder before it is looked into.
    failed
        Told of each folder that cannot be looked into. One that goes meanwhile is passed over.
    """
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        enter(at)
        try:
            with os.scandir(at) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):  # no link, which leads anywhere
                        with suppress(FileNotFoundError):
                            yield entry.path, entry.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            if at == folder:
                failed(at, error)
        except OSError as error:
            failed(at, error)


def status_of(path: str) -> os.stat_result | None:
    """Status of a plain file or a folder; None of anything else, and where there is nothing."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return status if plain else None  # a link leads anywhere, a pipe never ends


def is_readable(path: str) -> bool:
    """Return False for a file that this process has no permission to read."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:  # gone, or held for a moment
        return True
    return True
