"""The folder of a backup, whose parts have their names once all of them are on disk."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_UNFINISHED = ".unfinished"


class UnusableFolderError(Exception):
    """The folder cannot be that of a new backup; the message is a sentence for the operator."""


@contextmanager
def backup_folder(folder: Path, *, outside: Sequence[Path]) -> Iterator[Path]:
    """Yield a folder for the parts of a backup, which go to `folder` at the end of the block.

    After an error or a power cut they are not there: a backup that has its parts is whole.

    Parameters
    ----------
    folder
        Folder of the backup, empty or made.
    outside
        Folders that are copied.

    Raises
    ------
    UnusableFolderError
    OSError
        Something that was written is not on disk.
    """
    for copied in outside:
        if folder.resolve().is_relative_to(copied.resolve()):
            raise UnusableFolderError(f"{folder} lies in {copied}, which is copied")
    unfinished = folder / _UNFINISHED
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UnusableFolderError(f"{folder} is not empty")
        unfinished.mkdir(mode=0o700)
    except OSError as error:
        raise UnusableFolderError(f"{folder} cannot be written: {error.strerror}") from error
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield unfinished
        _flush(descriptor)
        for part in unfinished.iterdir():
            part.rename(folder / part.name)
        unfinished.rmdir()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    """Force the file system of a descriptor to disk, with all that was written to it.

    By syncfs, which `os` lacks: `os.sync` tells of no error, and `os.fsync` of each file takes a
    commit of the journal for each.

    Raises
    ------
    OSError
        Something that was written since the descriptor was opened is lost.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
