"""A file that grows by whole pieces, each on disk before it counts.

Not a handler of `logging`: those force nothing to disk and swallow the errors of a full one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class AppendedFile:
    """A file open for appending.

    Parameters
    ----------
    path
        Path, made with its folder if it does not exist; the names are forced to disk.

    Attributes
    ----------
    path : Path
        Path of the file.
    size : int
        Length in bytes.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.size = os.fstat(self._descriptor).st_size
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def removed(self) -> bool:
        """Return True if the file has no name any more, because it was removed."""
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, data: bytes) -> None:
        """Add the bytes and force them to disk.

        Raises
        ------
        OSError
            The file is as it was before.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file; nothing is left to be written."""
        os.close(self._descriptor)
