"""Folders below a root, reached step by step: no link is followed, even one made just now.

Python's `os` lacks Linux's `openat2`, which does this in one call; `pathlib` and `shutil` follow
links.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gateway.errors import InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ROOT = os.O_RDONLY | os.O_DIRECTORY
_STEP = _ROOT | os.O_NOFOLLOW
NESTED = "a folder cannot hold an object whose key begins with another object's key and a slash"


@contextmanager
def opened(root: Path | str, steps: Sequence[str], *, dir_fd: int | None = None) -> Iterator[int]:
    """Yield the descriptor of the folder that the steps lead to.

    Raises
    ------
    FileNotFoundError
    NotADirectoryError
        A file or a link stands on the way.
    """
    folder = os.open(root, _ROOT, dir_fd=dir_fd)
    try:
        for step in steps:
            above, folder = folder, os.open(step, _STEP, dir_fd=folder)
            os.close(above)
        yield folder
    finally:
        os.close(folder)


@contextmanager
def held(root: Path, steps: Sequence[str]) -> Iterator[Sequence[int]]:
    """Yield descriptors of the root and of the folder below it that each step leads to.

    Raises
    ------
    FileNotFoundError
    NotADirectoryError
        A file or a link stands on the way.
    """
    folders = [os.open(root, _ROOT)]
    try:
        for step in steps:
            folders.append(os.open(step, _STEP, dir_fd=folders[-1]))
        yield folders
    finally:
        for folder in folders:
            os.close(folder)


@contextmanager
def made(root: int, steps: Sequence[str]) -> Iterator[Sequence[int]]:
    """Yield descriptors of the folders to force to disk once the last holds a new name.

    The last is the folder that the steps lead to. Missing folders are made, for the owner alone;
    the descriptors then begin with that of the folder that holds the first new one.

    Raises
    ------
    FileNotFoundError
        A folder on the way was removed just now.
    InvalidKeyError
        A file or a link stands on the way.
    """
    folders = [root]
    known = len(steps)
    try:
        for depth, step in enumerate(steps):
            try:
                folder = _entered(step, folders[-1])
            except FileNotFoundError:
                known = min(known, depth)
                with suppress(FileExistsError):  # somebody else makes it
                    os.mkdir(step, 0o700, dir_fd=folders[-1])
                folder = _entered(step, folders[-1])
            folders.append(folder)
        yield folders[known:]
    finally:
        for folder in folders[1:]:
            os.close(folder)


def _entered(step: str, above: int) -> int:
    try:
        return os.open(step, _STEP, dir_fd=above)
    except NotADirectoryError as error:
        raise obstacle(step, above) or InvalidKeyError(NESTED) from error


def obstacle(name: str, folder: int) -> InvalidKeyError | None:
    """Return the error of a name that a link or a folder has taken; None if a file has it."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return InvalidKeyError("a link stands where the key leads, and links are not followed")
    return InvalidKeyError(NESTED) if stat.S_ISDIR(mode) else None
