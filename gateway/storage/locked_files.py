"""Locks on objects' files, which hold between threads and processes and leave no file behind.

Not filelock or portalocker: they lock a file beside, which stays or whose removal is a race; here
the lock is on the very file that is replaced or removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A link, a socket, a file of another account: no swap can be under way on it.
_NO_FILE_OF_OURS = {errno.ELOOP, errno.ENXIO, errno.EACCES}
_PIECE_BYTES = 1 << 16


@contextmanager
def locked(name: str, folder: int) -> Iterator[int | None]:
    """Lock the file of this name, so that no other writer gives the name away in the block.

    Yields
    ------
    int or None
        Descriptor of the file, at its beginning; None if it is no file of the gateway's own.

    Raises
    ------
    FileNotFoundError
        No file has the name. Another writer may give it to a new one at any time.
    IsADirectoryError
    """
    while True:
        try:
            # For writing too: NFS locks no other file alone.
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_FILE_OF_OURS:
                raise
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The lock's last holder may have replaced or removed it.
            if os.path.samestat(
                os.fstat(file), os.stat(name, dir_fd=folder, follow_symlinks=False)
            ):
                yield file
                return
        finally:
            os.close(file)


def whole(file: int) -> bytes:
    """Return the bytes of a locked file, which has no writer."""
    pieces = []
    while piece := os.read(file, max(os.fstat(file).st_size, _PIECE_BYTES)):
        pieces.append(piece)
    return b"".join(pieces)
