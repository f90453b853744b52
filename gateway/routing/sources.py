"""Places in which the routing document lies, and is followed: a file, or the store."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.errors import (
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreUnavailableError,
    log_fields,
)
from gateway.routing.document import MOST_BYTES, RoutingFileError, read_file, too_long
from gateway.runtime.file_changes import changes
from gateway.storage.documents import MEDIA_TYPE
from gateway.storage.layout import ROUTING_DOCUMENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.settings import RoutingSettings
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_LOOK_S = 2.0


class RoutingSource(Protocol):
    """A place of the routing document."""

    async def read(self) -> bytes:
        """Return the content.

        Raises
        ------
        RoutingFileError
            There is none, or it is too long.
        StoreUnavailableError
        """
        ...

    def contents(self) -> AsyncIterator[bytes | RoutingFileError]:
        """Yield the content at once, and whenever it is another one; or why it cannot be read."""
        ...


class RoutingFile:
    """The routing document in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        """See `RoutingSource.read`."""
        return await asyncio.to_thread(read_file, self._path)

    async def contents(self) -> AsyncIterator[bytes | RoutingFileError]:
        """See `RoutingSource.contents`; looked at once a second."""
        async for _ in changes([self._path]):
            try:
                content: bytes | RoutingFileError = await self.read()
            except RoutingFileError as error:
                content = error
            yield content


class StoredRouting:
    """The routing document in the store, one for all its gateways and tenants.

    Parameters
    ----------
    objects
        The store, whole.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def read(self) -> bytes:
        """See `RoutingSource.read`."""
        with _found():
            return await self._objects.read(ROUTING_DOCUMENT, limit_bytes=MOST_BYTES)

    async def write(self, data: bytes) -> None:
        """Put a document there that was judged, over the one of before.

        Raises
        ------
        StoreUnavailableError
        """
        await self._objects.replace(ROUTING_DOCUMENT, data, media_type=MEDIA_TYPE)

    async def contents(self) -> AsyncIterator[bytes | RoutingFileError]:
        """See `RoutingSource.contents`; a store that is away has the content that it had."""
        tag, fault = None, ""
        while True:
            try:
                with _found():
                    stored = await self._objects.read_changed(
                        ROUTING_DOCUMENT, tag=tag, limit_bytes=MOST_BYTES
                    )
            except StoreUnavailableError as error:
                log.warning("routing.store_unavailable", **log_fields(error))
            except RoutingFileError as error:
                if str(error) != fault:
                    tag, fault = None, str(error)
                    yield error
            else:
                if stored is not None:
                    tag, fault = stored.tag, ""
                    yield stored.data
            await asyncio.sleep(_LOOK_S)


@contextmanager
def _found() -> Iterator[None]:
    """Translate what the store says of a document that cannot be taken.

    Raises
    ------
    RoutingFileError
    """
    try:
        yield
    except ObjectNotFoundError as error:
        none = "the store has none: `radstream rules publish` puts one there"
        raise RoutingFileError(none) from error
    except ObjectTooLargeError as error:
        raise too_long() from error


def source_of(settings: RoutingSettings, objects: ObjectStore) -> RoutingSource | None:
    """Return the place of the routing document; None where there is to be none."""
    if settings.file is not None:
        return RoutingFile(settings.file)
    return StoredRouting(objects) if settings.stored else None


def place_of(settings: RoutingSettings) -> str | None:
    """Return the path of the document's file, or its key in the store; None without either."""
    if settings.file is not None:
        return str(settings.file)
    return ROUTING_DOCUMENT if settings.stored else None
