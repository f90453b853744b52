"""The presence of gateways on one folder store, by locks that end with their process.

Not filelock or portalocker: they make one wait for another; here only the owner's end matters.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Presence:
    """A locked file of each gateway; the system releases the lock at any end of its owner.

    Parameters
    ----------
    folder
        Folder of the files; made if it does not exist.

    Attributes
    ----------
    name : str
        Name of this gateway: another each time it is started.

    Raises
    ------
    OSError
        The file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.name = secrets.token_hex(16)
        self._path = folder / self.name
        self._descriptor = _locked(self._path)
        for other in folder.iterdir():
            self.has_ended(other.name)  # which clears what it left

    def has_ended(self, name: str) -> bool:
        """Return True if the gateway of this name is known to run no longer."""
        if name == self.name:
            return False
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # it closed, or somebody has found out before
            return True
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                path.unlink()
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def close(self) -> None:
        """Release the lock: this gateway has ended its work."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._descriptor)


def _locked(path: Path) -> int:
    """Return the descriptor of the file, which is locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # somebody found it before it was locked, and cleared it
