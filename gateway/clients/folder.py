"""The object store as a folder: what one machine has instead of S3."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
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
    from typing import BinaryIO

    from gateway.clients.protocols import Reserve

T = TypeVar("T")

# Where objects are written before they get their name; no key may begin with a dot.
_UNFINISHED = ".unfinished"
_STALE_S = 3600.0
_FOLDER_ATTEMPTS = 100
_NESTED = "a folder cannot hold an object whose key begins with another object's key and a slash"


class FolderStore:
    """Objects as files under a root folder, each written whole or not at all.

    A write goes to an unnamed place first, is forced to disk and then gets its name by one atomic
    step: `link` where the name must be free, `rename` where it may not be. A crash leaves the old
    state or the new one.

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
            The folder cannot be made or written.
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
        path = self._path(key)
        if reserve is not None:
            await reserve(await self._run(partial(_length, path, limit_bytes)))
        return await self._run(partial(_read, path, limit_bytes))

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
        unfinished = self._root / _UNFINISHED
        unfinished.mkdir(parents=True, exist_ok=True)
        for file in unfinished.iterdir():
            # Another process may be writing here now; nothing it writes takes this long.
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _STALE_S:
                    file.unlink()

    def _create(self, path: Path, data: bytes | memoryview) -> bool:
        with self._written(path, data) as unfinished:
            try:
                _in_its_folder(partial(os.link, unfinished, path), path)
            except FileExistsError:
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
        unfinished = self._root / _UNFINISHED / secrets.token_hex(16)
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _make(path.parent)  # now, so that a full disk leaves no empty folder
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)

    def _delete(self, path: Path) -> None:
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
            try:
                folder.rmdir()
            except FileNotFoundError:  # somebody else did
                pass
            except OSError:  # it holds something
                break
            folder = folder.parent
        _sync(folder)

    def _keys(self, prefix: str) -> list[str]:
        folder = self._root.joinpath(*split_prefix(prefix))
        found = []
        for parent, folders, files in os.walk(folder, onerror=_unless_missing):
            folders[:] = [name for name in folders if not name.startswith(".")]
            path = Path(parent).relative_to(self._root)
            found += [(path / name).as_posix() for name in files]
        return sorted(key for key in found if key.startswith(prefix))

    def _folders(self, prefix: str, after: str, limit: int) -> list[str]:
        folder = self._root.joinpath(*split_prefix(prefix))
        try:
            names = [
                entry.name
                for entry in os.scandir(folder)
                if entry.is_dir() and not entry.name.startswith(".")
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        # As their keys stand: the slash that follows a name takes part in the order.
        beyond = [name for name in names if not after or f"{name}/" > f"{after}/"]
        return sorted(beyond, key=lambda name: f"{name}/")[:limit]


def _read(path: Path, limit_bytes: int | None) -> bytes:
    with _opened(path, limit_bytes) as file:
        return file.read()


def _length(path: Path, limit_bytes: int | None) -> int:
    with _opened(path, limit_bytes) as file:
        return os.fstat(file.fileno()).st_size


@contextmanager
def _opened(path: Path, limit_bytes: int | None) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            if limit_bytes is not None and os.fstat(file.fileno()).st_size > limit_bytes:
                raise ObjectTooLargeError(limit_bytes)
            yield file
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ObjectNotFoundError from error


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


def _make(folder: Path) -> None:
    """Make a folder and what is missing above it, and force the new names to disk."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        _make(folder.parent)
        _make(folder)
    except (FileExistsError, NotADirectoryError) as error:
        if not folder.is_dir():
            raise InvalidKeyError(_NESTED) from error
    else:
        _sync(folder.parent)


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


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
