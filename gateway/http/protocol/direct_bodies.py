"""A request's body, received from the socket into the place where it is wanted.

A parser that is told the length finds nothing in the rest of a body. By way of it each byte would
be copied five times, in pieces: by the loop, the parser, the request and its reader.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from starlette.types import Scope

# Key of the request's function that returns its `DirectBody`, in the scope's extensions.
_EXTENSION = "radstream.direct_body"
# Of a shorter rest no more than a few pieces come.
LEAST_BYTES = 64 * 2**10


class Connection(Protocol):
    """A connection that gives bodies, and takes all that is no body."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        ...

    def pause_writing(self) -> None:
        """Note that answers are not read."""
        ...

    def resume_writing(self) -> None:
        """Note that they are."""
        ...

    def direct_body(self, room: memoryview) -> DirectBody | None:
        """See `direct_body` of this module."""
        ...

    def end_direct_body(self, received: memoryview, *, is_whole: bool) -> None:
        """Take the connection back, with what was received past the parser."""
        ...


class DirectBody(asyncio.BufferedProtocol):
    """The protocol of a connection while the rest of a body comes.

    It never takes more than the room has, so that no byte of the next request is in it.

    Parameters
    ----------
    connection
        Has the transport, and takes it back.
    room
        Of just the bytes that are to come.

    Attributes
    ----------
    ended
        Done once all have come, or the caller has gone.
    """

    def __init__(self, connection: Connection, room: memoryview) -> None:
        self.ended: asyncio.Future[None] = connection.loop.create_future()
        self._connection = connection
        self._room = room
        self._size = 0
        connection.transport.set_protocol(self)

    @property
    def left(self) -> int:
        """Number of bytes that are still to come."""
        return len(self._room) - self._size

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the room for what comes next."""
        del sizehint
        return self._room[self._size :]

    def buffer_updated(self, nbytes: int) -> None:
        """Note what came; give the connection back after the last byte."""
        self._size += nbytes
        if not self.left:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, and whoever waits for the body."""
        self._connection.connection_lost(exc)
        self._settle()

    def pause_writing(self) -> None:
        """Tell the connection."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection."""
        self._connection.resume_writing()

    def close(self) -> None:
        """Let go of the room; what is missing goes to the connection's parser, unread."""
        if not self.ended.done():
            self._end()
        self._room.release()

    def _end(self) -> None:
        with self._room[: self._size] as received:
            self._connection.end_direct_body(received, is_whole=not self.left)
        self._settle()

    def _settle(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def offer(scope: MutableMapping[str, Any], connection: Connection) -> None:
    """Let the application ask for the rest of the request's body; see `direct_body`."""
    scope.setdefault("extensions", {})[_EXTENSION] = connection.direct_body


def direct_body(scope: Scope, room: memoryview) -> DirectBody | None:
    """Return the rest of a body on its way into the room; None where it comes in pieces only.

    To be asked for right behind a piece: nothing may have come since.
    """
    ask = scope.get("extensions", {}).get(_EXTENSION)
    return None if ask is None else ask(room)
