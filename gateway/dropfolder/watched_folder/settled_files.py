"""The drop folder's files as objects; of a watched folder those alone that are whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import (
    ObjectNotFoundError,
    ObjectNotReadableError,
    StoreUnavailableError,
)
from gateway.storage.folder import FolderStore
from gateway.storage.protocol import Tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from gateway.storage.protocol import Reserve

T = TypeVar("T")


class DroppedFiles(FolderStore):
    """Objects as files under a root folder that senders write to.

    That one of them is closed to the gateway says nothing of the others.
    """

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await super()._run(threads, work)
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, PermissionError):
                raise ObjectNotReadableError(error.reason.lower()) from error
            raise

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        """See `ObjectStore.read_tagged`; with the time, and without a tag, which costs a hash.

        Nothing of the drop folder is swapped, and no event tells a tag to compare with.
        """
        data = await self.read(key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve)
        try:
            return Tagged(data, "", await self.written_at(key))
        except ObjectNotFoundError:  # taken away since
            return Tagged(data, "")


class SettledFiles(DroppedFiles):
    """Those of the files that are copied to their end.

    A file that is still being copied is not there yet, neither itself nor beside
    another.

    Parameters
    ----------
    root
        The folder.
    is_whole
        Tells if the file of this key is copied to its end.
    """

    def __init__(self, root: Path, is_whole: Callable[[str], bool]) -> None:
        super().__init__(root)
        self._is_whole = is_whole

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """See `ObjectStore.read`."""
        await self._check_whole(key)
        return await super().read(
            key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve
        )

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """See `ObjectStore.beginning`."""
        await self._check_whole(key)
        return await super().beginning(key, size, version_id=version_id)

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        keys = await super().keys(prefix)
        return await asyncio.to_thread(lambda: [key for key in keys if self._is_whole(key)])

    async def _check_whole(self, key: str) -> None:
        if not await asyncio.to_thread(self._is_whole, key):
            raise ObjectNotFoundError
