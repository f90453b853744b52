"""Objects of a folder store, and their copies.

Not shutil: it follows links, which a sender of dropped files may have made, and takes a file that
goes meanwhile for an error. Nor rsync, which knows none of the store's rules.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, count, repeat
from typing import TYPE_CHECKING

from gateway.errors import InvalidKeyError, ObjectNotFoundError
from gateway.storage import plain_files
from gateway.storage.keys import split_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIECE_BYTES = 1 << 20
_FOLDER_ATTEMPTS = 100
_WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Files:
    """Objects below a folder.

    Parameters
    ----------
    root
        The folder.
    part
        Prefix of the part of a tenant, which no key here has; empty for the whole.
    unlisted
        Takes the prefixes of folders whose files the disk does not list; None raises the error.
    """

    root: Path
    part: str = ""
    unlisted: set[str] | None = None

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects that start with a prefix, in their order."""
        on_unlisted = None if self.unlisted is None else self.unlisted.add
        found = plain_files.file_keys(self.root, self.part + prefix, on_unlisted)
        return sorted(key.removeprefix(self.part) for key in found if _is_key(key))

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right below a prefix, in their order."""
        return sorted(filter(_is_key, plain_files.folder_names(self.root, self.part + prefix)))

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes; None where there is none that can be read."""
        try:
            return plain_files.read(self.root, split_key(self.part + key), None)
        except (ObjectNotFoundError, OSError):
            return None

    def is_gone(self, key: str) -> bool:
        """Return True if there is no such object; one that cannot be read is there."""
        try:
            with self.opened(key):
                return False
        except ObjectNotFoundError:
            return True
        except OSError:
            return False

    def status(self, key: str) -> os.stat_result | None:
        """Return the status of an object's file; None where there is none that can be read."""
        try:
            with self.opened(key) as file:
                return os.fstat(file)
        except (ObjectNotFoundError, OSError):
            return None

    @contextmanager
    def opened(self, key: str) -> Iterator[int]:
        """Yield the descriptor of an object's file.

        Raises
        ------
        ObjectNotFoundError, OSError
        """
        with plain_files.opened_file(self.root, split_key(self.part + key), None) as (file, _):
            yield file

    def path(self, key: str) -> Path:
        """Return the path of an object's file."""
        return self.root / (self.part + key)

    def has(self, key: str) -> bool:
        """Return True if there is such an object."""
        return self.status(key) is not None


@dataclass(frozen=True, slots=True)
class CopiedFiles:
    """Objects of a folder store, and those of its copy, which has one writer.

    Parameters
    ----------
    store, copy
        The objects.
    unreadable
        Keys of objects that the copy lacks: the disk does not give them, or they changed as long
        as they were copied.
    """

    store: Files
    copy: Files
    unreadable: set[str] = field(default_factory=set)

    def bring(self, key: str, *, anew: bool = False) -> bool:
        """Copy an object with its mode and times; return False where it is gone.

        Parameters
        ----------
        anew
            True copies it even where the copy has one of its length and time.
        """
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self.store.opened(key))
            except ObjectNotFoundError:
                return False
            except OSError:
                self.unreadable.add(key)
                return False
            status = os.fstat(file)
            if anew or not _is_same(self.copy.status(key), status):
                try:
                    self._write(key, file, status)
                except _UnreadableError:
                    self.unreadable.add(key)
                    self.remove(key)
                    return False
        return True

    @property
    def lacking(self) -> int:
        """Number of objects that the copy lacks, and of folders that the disk does not list."""
        return len(self.unreadable) + len(self.store.unlisted or ())

    def is_same(self, key: str) -> bool:
        """Return True if an object of the store is as it was when it was copied."""
        status = self.store.status(key)
        return status is not None and _is_same(self.copy.status(key), status)

    def bring_all(self, prefix: str) -> None:
        """Copy all objects below a prefix, also those that move to another key meanwhile.

        What goes between its listing and its copy may have moved, and a listing may miss it under
        both keys: so it is listed twice at the least, and until nothing goes.
        """
        seen: set[str] = set()
        for is_again in chain([False], repeat(True)):
            new = [key for key in self.store.keys(prefix) if key not in seen]
            were_there = [self.bring(key) for key in new]
            seen.update(new)
            if is_again and all(were_there):
                return

    def write(self, key: str, data: bytes) -> None:
        """Write an object of the copy alone."""
        with self._created(key) as file:
            _write_all(file, data)
            _own(file, self.store.root.stat())

    def remove(self, key: str) -> None:
        """Remove an object of the copy, if there is one, and the folders that are empty then."""
        path = self.copy.path(key)
        with suppress(FileNotFoundError):
            path.unlink()
        with suppress(OSError):
            while (path := path.parent) != self.copy.root:
                path.rmdir()

    def make_folder(self, folder: str) -> None:
        """Make a folder of the copy, closed to other users, and those above it up to its root."""
        path = self.copy.root / folder
        if path.is_dir():
            return
        if folder:
            self.make_folder(folder.rpartition("/")[0])
        path.mkdir(mode=0o700, exist_ok=True)  # another thread may make it, too
        with suppress(FileNotFoundError):  # it is gone from the store by now
            _own(path, (self.store.root / folder).stat(follow_symlinks=False))

    def _write(self, key: str, file: int, status: os.stat_result) -> None:
        with self._created(key) as target:
            while piece := _read(file):
                _write_all(target, piece)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            _own(target, status)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    @contextmanager
    def _created(self, key: str) -> Iterator[int]:
        for attempt in count():
            try:
                file = os.open(self.copy.path(key), _WRITTEN, 0o600)
                break
            except FileNotFoundError:  # or another thread removed the folder, which was empty
                if attempt == _FOLDER_ATTEMPTS:
                    raise
                with suppress(FileNotFoundError):
                    self.make_folder((self.copy.part + key).rpartition("/")[0])
        try:
            yield file
        finally:
            os.close(file)


class _UnreadableError(Exception):
    """The disk does not give an object's bytes."""


def _read(file: int) -> bytes:
    try:
        return os.read(file, _PIECE_BYTES)
    except OSError as error:
        raise _UnreadableError from error


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _own(target: int | Path, status: os.stat_result) -> None:
    """Give a copy to the owner of what it was made of, as only root can."""
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)


def _is_same(found: os.stat_result | None, status: os.stat_result) -> bool:
    return found is not None and (found.st_size, found.st_mtime_ns) == (
        status.st_size,
        status.st_mtime_ns,
    )


def _is_key(key: str) -> bool:
    """Return False for the name of a stray file, which no object can have."""
    try:
        split_key(key)
    except InvalidKeyError:
        return False
    return True
