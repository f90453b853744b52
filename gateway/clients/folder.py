"""The object store as a folder: what one machine has instead of S3."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.clients.keys import split_key, split_prefix
from gateway.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from gateway.clients.protocols import Reserve

T = TypeVar("T")

# Where objects are written before they get their name; no key may begin with a dot.
_UNFINISHED = ".unfinished"
_STALE_S = 3600.0
_FOLDER_ATTEMPTS = 100
# Nothing, a folder, something below a file, a link, a socket.
_NO_OBJECT = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
_LINKED = "a link stands where the key leads, and links are not followed"
_NESTED = "a folder cannot hold an object whose key begins with another object's key and a slash"


class FolderStore:
    """Objects as files under a root folder, each written whole or not at all.

    A write goes to an unnamed place first, is forced to disk and then gets its name by one atomic
    step: `link` where the name must be free, `rename` where it may not be. A crash leaves the old
    state or the new one. What is written is the gateway's own account's alone, whatever the umask.

    What is no plain file in a plain folder is no object: links lead out of the root, and a pipe
    never ends. Whoever drops files may have made them.

    Parameters
    ----------
    root
        The folder; made if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        # A thread cannot be stopped: work whose caller has gone is ended, and keeps its thread.
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="store")

    async def open(self) -> None:
        """Make the folder, and clear what a crash left unfinished.

        Raises
        ------
        StoreUnavailableError
            The folder cannot be made or written, or its file system takes two names for one.
        """
        await self._run(self._prepare)

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """See `ObjectStore.read`; a folder keeps no version but the current one."""
        del version_id
        steps = split_key(key)
        if reserve is not None:
            await reserve(await self._run(partial(_length, self._root, steps, limit_bytes)))
        return await self._run(partial(_read, self._root, steps, limit_bytes))

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """See `ObjectStore.create`; a folder keeps no media type but the name's."""
        del media_type
        return await self._run(partial(self._create, self._path(key), data))

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """See `ObjectStore.replace`."""
        del media_type
        await self._run(partial(self._replace, self._path(key), data))

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._run(partial(self._delete, self._path(key)))

    async def purge(self, prefix: str) -> bool:
        """See `ObjectStore.purge`; a folder keeps nothing else."""
        await self._run(partial(self._purge, prefix))
        return True

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        return await self._run(partial(self._keys, prefix))

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """See `ObjectStore.folders`."""
        return await self._run(partial(self._folders, prefix, after, limit))

    async def _run(self, work: Callable[[], T]) -> T:
        with _translated():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*split_key(key))

    def _prepare(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)  # nobody else's business
        unfinished = self._root / _UNFINISHED
        unfinished.mkdir(exist_ok=True)
        for file in unfinished.iterdir():
            # Another process may be writing here now; nothing it writes takes this long.
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _STALE_S:
                    file.unlink()
        _check_names(unfinished)

    def _has_link(self, path: Path) -> bool:
        """Whether a link stands between the root and the path, or at its end."""
        steps = path.relative_to(self._root).parts
        return any(self._root.joinpath(*steps[:i]).is_symlink() for i in range(1, len(steps) + 1))

    def _create(self, path: Path, data: bytes | memoryview) -> bool:
        with self._written(path, data) as unfinished:
            try:
                _in_its_folder(partial(os.link, unfinished, path), path)
            except FileExistsError:
                if path.is_symlink():
                    raise InvalidKeyError(_LINKED) from None
                if path.is_dir():
                    raise InvalidKeyError(_NESTED) from None
                return False
            return True

    def _replace(self, path: Path, data: bytes | memoryview) -> None:
        with self._written(path, data) as unfinished:
            try:
                _in_its_folder(partial(unfinished.rename, path), path)
            except IsADirectoryError as error:
                raise InvalidKeyError(_NESTED) from error

    @contextmanager
    def _written(self, path: Path, data: bytes | memoryview) -> Iterator[Path]:
        if self._has_link(path.parent):
            raise InvalidKeyError(_LINKED)
        unfinished = self._root / _UNFINISHED / secrets.token_hex(16)
        try:
            with open(unfinished, "xb", opener=_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _make(path.parent)  # now, so that a full disk leaves no empty folder
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)

    def _delete(self, path: Path) -> None:
        if self._has_link(path.parent):
            return
        try:
            path.unlink()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return
        self._close(path.parent)

    def _purge(self, prefix: str) -> None:
        for key in self._keys(prefix):
            self._delete(self._path(key))

    def _close(self, folder: Path) -> None:
        """Remove a folder that holds nothing any more, and those above it; force that to disk."""
        while folder != self._root:
            with suppress(FileNotFoundError):  # somebody else removed it
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    raise
                except OSError:  # it holds something
                    _sync(folder)
                    return
            folder = folder.parent
        _sync(folder)

    def _keys(self, prefix: str) -> list[str]:
        folder = self._root.joinpath(*split_prefix(prefix))
        if self._has_link(folder):
            return []
        root = len(str(self._root)) + 1
        return sorted(
            key for file in _files(str(folder)) if (key := file[root:]).startswith(prefix)
        )

    def _folders(self, prefix: str, after: str, limit: int) -> list[str]:
        folder = self._root.joinpath(*split_prefix(prefix))
        if self._has_link(folder):
            return []
        try:
            names = [
                entry.name
                for entry in os.scandir(folder)
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        # As their keys stand: the slash that follows a name takes part in the order.
        beyond = [name for name in names if not after or f"{name}/" > f"{after}/"]
        return sorted(beyond, key=lambda name: f"{name}/")[:limit]


def _files(folder: str) -> Iterator[str]:
    """Paths of the plain files below a folder; no key has a step that begins with a dot."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry.path


def _check_names(folder: Path) -> None:
    """Refuse a file system where the objects of two studies could be one file.

    Raises
    ------
    StoreUnavailableError
    """
    probe = folder / "probe"
    probe.touch()
    if (folder / "PROBE").exists():
        raise StoreUnavailableError("its file system does not tell upper from lower case")
    probe.unlink(missing_ok=True)


def _read(root: Path, steps: Sequence[str], limit_bytes: int | None) -> bytes:
    with _opened(root, steps, limit_bytes) as file:
        return file.read()


def _length(root: Path, steps: Sequence[str], limit_bytes: int | None) -> int:
    with _opened(root, steps, limit_bytes) as file:
        return os.fstat(file.fileno()).st_size


@contextmanager
def _opened(root: Path, steps: Sequence[str], limit_bytes: int | None) -> Iterator[BinaryIO]:
    try:
        descriptor = _descriptor(root, steps)
    except OSError as error:
        if error.errno in _NO_OBJECT:
            raise ObjectNotFoundError from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        if limit_bytes is not None and os.fstat(descriptor).st_size > limit_bytes:
            raise ObjectTooLargeError(limit_bytes)
        yield file


def _descriptor(root: Path, steps: Sequence[str]) -> int:
    """The file, opened step by step: no link is followed, even one that was made just now."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for step in steps[:-1]:
        above = folder
        try:
            folder = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    try:
        # A pipe without a writer is not waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(steps[-1], flags, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ObjectNotFoundError
    return file


def _in_its_folder(step: Callable[[], object], path: Path) -> None:
    """Give a file its name, in a folder that is removed when its last file is."""
    for _ in range(_FOLDER_ATTEMPTS):
        try:
            step()
            _sync(path.parent)
        except FileNotFoundError:
            _make(path.parent)
        else:
            return
    raise StoreUnavailableError("its folder is removed again and again")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make(folder: Path) -> None:
    """Make a folder and what is missing above it, and force the new names to disk."""
    while True:
        try:
            folder.mkdir(0o700)
        except FileNotFoundError:
            _make(folder.parent)
        except NotADirectoryError as error:
            raise InvalidKeyError(_NESTED) from error
        except FileExistsError as error:
            with suppress(FileNotFoundError):  # whoever empties it removes it: once more
                if not stat.S_ISDIR(folder.lstat().st_mode):
                    raise InvalidKeyError(_NESTED) from error
                return
        else:
            _sync(folder.parent)
            return


def _sync(folder: Path) -> None:
    """Force a folder's entries to disk: a name is not durable before that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(error.strerror or "input/output error") from error
