"""The object store in a folder, for one machine without S3.

Not fsspec: its local files are not forced to disk, can be half written, and lie wherever a link
leads.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreUnavailableError
from gateway.runtime.threads import in_thread
from gateway.storage.descent import NESTED, held, made, obstacle, opened
from gateway.storage.keys import split_key
from gateway.storage.locked_files import locked, whole
from gateway.storage.plain_files import (
    beginning,
    file_keys,
    folder_names,
    length,
    read,
    written_at,
)
from gateway.storage.protocol import Tagged

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gateway.storage.protocol import Reserve

T = TypeVar("T")

# Where objects are written before they get their name; no key may begin with a dot.
_UNFINISHED = ".unfinished"
_STALE_S = 3600.0
_FOLDER_ATTEMPTS = 100


class FolderStore:
    """Objects as files under a root folder, each written whole or not at all.

    A write goes to an unnamed place first, is forced to disk and then gets its name by one atomic
    step: `link` where the name must be free, `rename` where it may not be. Last, the folder that
    holds the name is forced to disk, and those that hold the names of folders made on the way. So
    a crash at any time leaves the old state or the new one, and the new one once a call has
    returned; also where `create` returned False, though another writer made the object. A writer
    that finds a folder just made by another need not force its name: a file system makes a folder
    and its name in one step of its journal, and forces them together. Only the gateway's own
    account may read the files, under any umask.

    A writer that replaces or removes an object's file locks it, and checks that the name still
    means this file: so a swap, which reads the old bytes and gives their name to the new ones, has
    no other writer in between, in any process. An object's tag is a hash of its bytes.

    Only a plain file in a plain folder is an object: links lead out of the root, and a pipe never
    ends. A sender of dropped files may have made them, and may put them in place of a folder at
    any time: each folder is opened in the one above it.

    Parameters
    ----------
    root
        Folder of the store; made if it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        # A thread cannot be stopped: work whose caller has gone is ended, and keeps its thread.
        # Few, as each takes the interpreter's lock anew after each of its many system calls; and
        # a read, which seldom waits for the disk, does not stand behind the writes, which do.
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._writers = ThreadPoolExecutor(4, thread_name_prefix="store-write")

    async def open(self) -> None:
        """Make the folder, and remove files that a crash left unfinished.

        Raises
        ------
        StoreUnavailableError
            The folder cannot be made or written, or its file system takes two names for one.
        """
        await self._run(self._writers, self._prepare)

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
            await reserve(
                await self._run(self._readers, partial(length, self._root, steps, limit_bytes))
            )
        return await self._run(self._readers, partial(read, self._root, steps, limit_bytes))

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        """See `ObjectStore.read_tagged`."""
        del version_id
        data = await self.read(key, limit_bytes=limit_bytes, reserve=reserve)
        return Tagged(data, _tag(data))

    async def read_changed(
        self, key: str, *, tag: str | None, limit_bytes: int | None = None
    ) -> Tagged | None:
        """See `ObjectStore.read_changed`; a folder tells tags by reading."""
        found = await self.read_tagged(key, limit_bytes=limit_bytes)
        return None if found.tag == tag else found

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """See `ObjectStore.beginning`."""
        del version_id
        return await self._run(self._readers, partial(beginning, self._root, split_key(key), size))

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """See `ObjectStore.written_at`."""
        del version_id
        return await self._run(self._readers, partial(written_at, self._root, split_key(key)))

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """See `ObjectStore.create`; a folder keeps no media type but the name's."""
        del media_type
        return await self._run(self._writers, partial(self._create, split_key(key), data))

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """See `ObjectStore.replace`."""
        del media_type
        await self._run(self._writers, partial(self._replace, split_key(key), data))

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        """See `ObjectStore.swap`."""
        del media_type
        return await self._run(self._writers, partial(self._swap, split_key(key), data, tag))

    async def delete(self, key: str, *, tag: str | None = None) -> None:
        """See `ObjectStore.delete`."""
        await self._run(self._writers, partial(self._delete, split_key(key), tag))

    async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
        """See `ObjectStore.purge`; a folder keeps current versions only."""
        if not past_only:
            await self._run(self._writers, partial(self._purge, prefix))
        return True

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        return await self._run(self._readers, partial(self._keys, prefix))

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """See `ObjectStore.folders`."""
        return await self._run(self._readers, partial(self._folders, prefix, after, limit))

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await in_thread(threads, work)
        except OSError as error:
            raise StoreUnavailableError(error.strerror or "input/output error") from error

    def _prepare(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)  # closed to other users
        unfinished = self._root / _UNFINISHED
        unfinished.mkdir(exist_ok=True)
        for file in unfinished.iterdir():
            # Another process may be writing here now; nothing it writes takes this long.
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _STALE_S:
                    file.unlink()
        _check_names(unfinished)

    def _create(self, steps: Sequence[str], data: bytes | memoryview) -> bool:
        name = steps[-1]

        def give(unfinished: str, root: int, folder: int) -> bool:
            try:
                os.link(unfinished, name, src_dir_fd=root, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError as error:
                if (refused := obstacle(name, folder)) is not None:
                    raise refused from error
                return False
            return True

        return self._write(steps[:-1], data, give)

    def _replace(self, steps: Sequence[str], data: bytes | memoryview) -> None:
        name = steps[-1]

        def give(unfinished: str, root: int, folder: int) -> None:
            while True:
                try:
                    with locked(name, folder):
                        os.rename(unfinished, name, src_dir_fd=root, dst_dir_fd=folder)
                        return
                except IsADirectoryError as error:
                    raise InvalidKeyError(NESTED) from error
                except FileNotFoundError:
                    with suppress(FileExistsError):  # somebody else makes it: once more
                        os.link(unfinished, name, src_dir_fd=root, dst_dir_fd=folder)
                        return

        self._write(steps[:-1], data, give)

    def _swap(self, steps: Sequence[str], data: bytes | memoryview, tag: str | None) -> str | None:
        new = _tag(data)
        if tag is not None:
            return new if self._exchange(steps, data, tag, new) else None
        if self._create(steps, data):
            return new
        try:
            return new if _tag(read(self._root, steps, None)) == new else None
        except ObjectNotFoundError:
            return None

    def _exchange(self, steps: Sequence[str], data: bytes | memoryview, old: str, new: str) -> bool:
        """Give the name of the bytes with the old tag to the data; return True if it has them.

        Another writer's bytes are on disk before they are reported, as in `create`.
        """
        name = steps[-1]
        with opened(self._root, ()) as root, _unfinished(root, data) as unfinished:
            try:
                with held(self._root, steps[:-1]) as folders:
                    with locked(name, folders[-1]) as file:
                        found = None if file is None else _tag(whole(file))
                        if found == old:
                            os.rename(unfinished, name, src_dir_fd=root, dst_dir_fd=folders[-1])
                            found = new
                    os.fsync(folders[-1])
                    return found == new
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return False

    def _write(
        self, steps: Sequence[str], data: bytes | memoryview, give: Callable[[str, int, int], T]
    ) -> T:
        """Return the value of `give`, once the data and the name it gives them are on disk."""
        with opened(self._root, ()) as root, _unfinished(root, data) as unfinished:
            for _ in range(_FOLDER_ATTEMPTS):
                # Whoever takes the last file out of a folder removes it: once more.
                with suppress(FileNotFoundError), made(root, steps) as folders:
                    given = give(unfinished, root, folders[-1])
                    for folder in folders:
                        os.fsync(folder)
                    return given
        raise StoreUnavailableError("its folder is removed again and again")

    def _delete(self, steps: Sequence[str], tag: str | None = None) -> None:
        above = steps[:-1]
        with (
            suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError),
            held(self._root, above) as folders,
        ):
            with locked(steps[-1], folders[-1]) as file:
                if tag is not None and (file is None or _tag(whole(file)) != tag):
                    return
                os.unlink(steps[-1], dir_fd=folders[-1])
            # The folders that hold nothing any more go with it.
            depth = len(above)
            while depth and _removed(above[depth - 1], folders[depth - 1]):
                depth -= 1
            os.fsync(folders[depth])

    def _purge(self, prefix: str) -> None:
        for key in self._keys(prefix):
            self._delete(split_key(key))

    def _keys(self, prefix: str) -> list[str]:
        return sorted(file_keys(self._root, prefix))

    def _folders(self, prefix: str, after: str, limit: int) -> list[str]:
        # As their keys stand: the slash that follows a name takes part in the order.
        names = folder_names(self._root, prefix)
        beyond = [name for name in names if not after or f"{name}/" > f"{after}/"]
        return sorted(beyond, key=lambda name: f"{name}/")[:limit]


def _tag(data: bytes | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@contextmanager
def _unfinished(root: int, data: bytes | memoryview) -> Iterator[str]:
    """Yield the path of the data on disk, not yet named; removed at the end if still there."""
    path = f"{_UNFINISHED}/{secrets.token_hex(16)}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=root)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path, dir_fd=root)


def _removed(name: str, above: int) -> bool:
    """Remove the folder if it is empty; return True if it is gone."""
    try:
        os.rmdir(name, dir_fd=above)
    except FileNotFoundError:  # somebody else removed it
        return True
    except OSError:  # it holds something
        return False
    return True


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
