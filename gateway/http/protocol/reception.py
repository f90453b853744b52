"""Places into which a connection's socket is read: for the parser, for a body, and to forget.

A parser that is told the length finds nothing in the rest of a body. By way of it each byte would
be copied five times, in pieces: by the loop, the parser, the request and its reader.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from starlette.types import Scope

# Key of the request's function that returns its `DirectBody`, in the scope's extensions.
_EXTENSION = "radstream.direct_body"
# No more goes to the parser together with a head; a shorter body comes with it or right behind.
LEAST_BYTES = 64 * 2**10
ROOM_BYTES = 256 * 2**10


class Connection(Protocol):
    """A connection that gives bodies, and takes all that is no body.

    Attributes
    ----------
    room
        See `shared_room`.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    room: ClassVar[memoryview]

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        ...

    def is_reading_body(self) -> bool:
        """Return True after a head and before the end of its body."""
        ...

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

    def end_body(self) -> None:
        """Go on after the last byte of a body that went past the parser."""
        ...

    def go_on_with_body(self, received: memoryview) -> None:
        """Go on within a body, with what was received past the parser."""
        ...


class _Reception(asyncio.BufferedProtocol):
    """A protocol that gets bytes; all else is the connection's own matter."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the connection."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection."""
        self._connection.resume_writing()


class Parsed(_Reception):
    """The protocol of a connection while its parser gets what comes."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the room for what comes next."""
        del sizehint
        connection = self._connection
        return connection.room if connection.is_reading_body() else connection.room[:LEAST_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Have it parsed."""
        self._connection.data_received(bytes(self._connection.room[:nbytes]))


class _PastParser(_Reception):
    """The protocol of a connection until it gives the transport back to the one before it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._before = connection.transport.get_protocol()
        connection.transport.set_protocol(self)

    def _give_back(self) -> None:
        self._connection.transport.set_protocol(self._before)


class DirectBody(_PastParser):
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
        super().__init__(connection)
        self.ended: asyncio.Future[None] = connection.loop.create_future()
        self._room = room
        self._size = 0

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
            self._give_back()
            self._connection.end_body()
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, and whoever waits for the body."""
        super().connection_lost(exc)
        self._settle()

    def close(self) -> None:
        """Let go of the room; what is missing goes to the connection's parser, unread."""
        if not self.ended.done():
            self._give_back()
            with self._room[: self._size] as received:
                self._connection.go_on_with_body(received)
            self._settle()
        self._room.release()

    def _settle(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class UnwantedBody(_PastParser):
    """The protocol of a connection while the rest of a body comes that was answered already.

    Parameters
    ----------
    connection
        Has the transport, and takes it back.
    left
        Number of bytes that are to come.
    """

    def __init__(self, connection: Connection, left: int) -> None:
        super().__init__(connection)
        self._left = left

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the room for what comes next."""
        del sizehint
        return self._connection.room[: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        """Forget what came; give the connection back after the last byte."""
        self._left -= nbytes
        if not self._left:
            self._give_back()
            self._connection.end_body()


def shared_room() -> memoryview:
    """Return a room for the connections of an event loop; each is done with it once it has read."""
    return memoryview(bytearray(ROOM_BYTES))


def offer(scope: MutableMapping[str, Any], connection: Connection) -> None:
    """Let the application ask for the request's body; see `direct_body`."""
    scope.setdefault("extensions", {})[_EXTENSION] = connection.direct_body


def direct_body(scope: Scope, room: memoryview) -> DirectBody | None:
    """Return the rest of a body on its way into the room; None where it comes in pieces only.

    What the request has of it already is put into the room.

    Parameters
    ----------
    room
        Of all bytes that the application has not had yet.
    """
    ask = scope.get("extensions", {}).get(_EXTENSION)
    return None if ask is None else ask(room)
