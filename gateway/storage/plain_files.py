"""Plain files below a root, read and listed: a link, a pipe or a device is none of them."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError, ObjectTooLargeError
from gateway.storage.descent import opened
from gateway.storage.keys import KEY_BYTES, split_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# Nothing, a folder, something below a file, a link, a socket.
_NO_OBJECT = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}

# Of a file that grows while it is read.
_PIECE_BYTES = 1 << 16


def read(root: Path, steps: Sequence[str], limit_bytes: int | None) -> bytes:
    """Return the bytes of the file that the steps lead to; see `ObjectStore.read`."""
    with opened_file(root, steps, limit_bytes) as (file, size):
        pieces = []
        found, wanted = 0, size + 1
        while piece := os.read(file, wanted):  # one piece, unless the file grows
            pieces.append(piece)
            found, wanted = found + len(piece), _PIECE_BYTES
            if limit_bytes is not None and found > limit_bytes:
                raise ObjectTooLargeError(limit_bytes)
        return b"".join(pieces)


def beginning(root: Path, steps: Sequence[str], size: int) -> bytes:
    """Return the file's first bytes; see `ObjectStore.beginning`."""
    with opened_file(root, steps, None) as (file, _):
        return os.read(file, size)


def length(root: Path, steps: Sequence[str], limit_bytes: int | None) -> int:
    """Return the length in bytes of the file that the steps lead to; raise as `read` does."""
    with opened_file(root, steps, limit_bytes) as (_, size):
        return size


def written_at(root: Path, steps: Sequence[str]) -> dt.datetime:
    """Return the time at which the file came to lie there as it is; raise as `read` does.

    Its change time: a copy may bring the time of writing along from where it lay before.
    """
    with opened_file(root, steps, None) as (file, _):
        return dt.datetime.fromtimestamp(os.fstat(file).st_ctime, dt.UTC)


@contextmanager
def opened_file(
    root: Path, steps: Sequence[str], limit_bytes: int | None
) -> Iterator[tuple[int, int]]:
    """Yield the descriptor and the length of an object's file; raise as `read` does."""
    try:
        with opened(root, steps[:-1]) as folder:
            # A pipe without a writer is not waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(steps[-1], flags, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_OBJECT:
            raise ObjectNotFoundError from error
        raise
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFoundError
        if limit_bytes is not None and status.st_size > limit_bytes:
            raise ObjectTooLargeError(limit_bytes)
        yield file, status.st_size
    finally:
        os.close(file)


def file_keys(
    root: Path, prefix: str, on_unlisted: Callable[[str], object] | None = None
) -> list[str]:
    """Return the keys of all files below the root that start with a prefix, in no order.

    Parameters
    ----------
    on_unlisted
        Told of the prefix of each folder that the disk does not list, which is passed over; None
        raises the error.
    """
    at, slash, stem = prefix.rpartition("/")
    top = at + slash
    try:
        with opened(root, split_prefix(prefix)) as folder:
            found = paths(folder, stem, on_unlisted and (lambda at: on_unlisted(top + at)))
            return [top + path for path in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        if on_unlisted is None:
            raise
        on_unlisted(top)
        return []


def folder_names(root: Path, prefix: str) -> list[str]:
    """Return the names of the folders right below a prefix, in no order.

    Parameters
    ----------
    prefix
        Prefix of keys, empty or ending in a slash.
    """
    try:
        with opened(root, split_prefix(prefix)) as folder, os.scandir(folder) as entries:
            return [
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def paths(top: int, stem: str, on_unlisted: Callable[[str], object] | None = None) -> Iterator[str]:
    """Yield the paths of plain files below a folder that start with the stem, without a slash.

    No key has a step that begins with a dot. One folder below is open at a time, however deep.

    Parameters
    ----------
    on_unlisted
        See `file_keys`.
    """
    waiting = [""]
    while waiting:
        at = waiting.pop()
        try:
            with (
                opened(".", at.split("/")[:-1], dir_fd=top) as folder,
                os.scandir(folder) as entries,
            ):
                for entry in entries:
                    path = at + entry.name
                    if entry.name.startswith(".") or not path.startswith(stem):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield path
                    elif entry.is_dir(follow_symlinks=False) and len(path) < KEY_BYTES:
                        waiting.append(f"{path}/")
        except (FileNotFoundError, NotADirectoryError):  # it was removed just now
            continue
        except OSError:
            if on_unlisted is None:
                raise
            on_unlisted(at)
