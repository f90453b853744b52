"""The object store as a folder: what one machine has instead of S3."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

# Where objects are written before they get their name; no key may begin with a dot.
_UNFINISHED = ".unfinished"
_SEGMENT_BYTES = 255  # NAME_MAX of ext4, xfs and tmpfs
_STALE_S = 3600.0
_KEY_BYTES = 1024  # S3's limit, so that both stores hold the same keys


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
        self._threads = anyio.CapacityLimiter(16)

    async def open(self) -> None:
        """Make the folder, and clear what a crash left unfinished.

        Raises
        ------
        StoreUnavailableError
            The folder cannot be made or written.
        """
        await self._run(self._prepare)

    async def read(self, key: str) -> bytes:
        """See `ObjectStore.read`."""
        return await self._run(self._path(key).read_bytes)

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """See `ObjectStore.create`; a folder keeps no media type but the name's."""
        del media_type
        return await self._run(partial(self._create, self._path(key), data))

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """See `ObjectStore.replace`."""
        del media_type
        await self._run(partial(self._replace, self._path(key), data))

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        return await self._run(partial(self._keys, prefix))

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """See `ObjectStore.folders`."""
        return await self._run(partial(self._folders, prefix, after, limit))

    async def _run(self, work: Callable[[], T]) -> T:
        with _translated():
            return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if not key or len(key.encode()) > _KEY_BYTES:
            raise InvalidKeyError("a key has 1 to 1024 bytes")
        for segment in segments:
            if not segment or segment.startswith(".") or "\0" in segment:
                raise InvalidKeyError("no part of a key may be empty or begin with a dot")
            if len(segment.encode()) > _SEGMENT_BYTES:
                raise InvalidKeyError(f"no part of a key may be longer than {_SEGMENT_BYTES} bytes")
        return self._root.joinpath(*segments)

    def _prepare(self) -> None:
        unfinished = self._root / _UNFINISHED
        unfinished.mkdir(parents=True, exist_ok=True)
        for file in unfinished.iterdir():
            # Another process may be writing here now; nothing it writes takes this long.
            if time.time() - file.stat().st_mtime > _STALE_S:
                file.unlink(missing_ok=True)

    def _create(self, path: Path, data: bytes | memoryview) -> bool:
        with self._written(path, data) as unfinished:
            try:
                os.link(unfinished, path)
            except FileExistsError:
                return False
            _sync(path.parent)
            return True

    def _replace(self, path: Path, data: bytes | memoryview) -> None:
        with self._written(path, data) as unfinished:
            unfinished.rename(path)
            _sync(path.parent)

    @contextmanager
    def _written(self, path: Path, data: bytes | memoryview) -> Iterator[Path]:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._root / _UNFINISHED / secrets.token_hex(16)
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)

    def _keys(self, prefix: str) -> list[str]:
        folder = self._path(prefix.rstrip("/")) if prefix else self._root
        found = [
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and _UNFINISHED not in path.parts
        ]
        return sorted(found)

    def _folders(self, prefix: str, after: str, limit: int) -> list[str]:
        folder = self._path(prefix.rstrip("/")) if prefix else self._root
        try:
            names = sorted(
                entry.name
                for entry in os.scandir(folder)
                if entry.is_dir() and not entry.name.startswith(".") and entry.name > after
            )
        except FileNotFoundError:
            return []
        return names[:limit]


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
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ObjectNotFoundError from error
    except OSError as error:
        raise StoreUnavailableError(error.strerror or "input/output error") from error
