"""Requests sent before the answer to the last: each in its turn, as the answers are taken.

uvicorn makes requests of all that it has read at once, reads on with every answer, and begins the
next request though the answers are not read. Each of them then waits in memory.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from uvicorn.protocols.http.flow_control import FlowControl

from gateway.http.protocol import reception
from gateway.http.protocol.connections import BoundedProtocol
from gateway.http.protocol.reception import DirectBody, Parsed, UnwantedBody

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from gateway.settings import HttpSettings

# What is parsed at a time where a request may end: hardly more than one request is made of it.
_PIECE_BYTES = 512
_CHUNKED_PIECE_BYTES = 2048
# Requests out of turn that are begun in one go of the event loop, on all connections.
_STARTS_AT_ONCE = 8
_UNREAD_S = 30.0
# Of what the kernel has not sent yet; its own limit is several megabytes for each connection.
_UNSENT_BYTES = 128 * 2**10


class _Line:
    """The connections of a server with a request that waits for its turn, first come first."""

    def __init__(self) -> None:
        self._waiting: dict[PipeliningProtocol, None] = {}

    def join(self, connection: PipeliningProtocol) -> None:
        """Stand at the end, if not in the line already."""
        if not self._waiting:
            connection.loop.call_soon(self._serve, connection.loop)
        self._waiting[connection] = None

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in list(islice(self._waiting, _STARTS_AT_ONCE)):
            del self._waiting[connection]
            connection.begin_next()
        if self._waiting:
            loop.call_soon(self._serve, loop)


class _HeldFlow(FlowControl):
    """uvicorn's switch for reading and writing; reading stays off while a request waits."""

    is_held = False

    def hold(self) -> None:
        """Stop reading, whichever part asks for more."""
        self.is_held = True
        self.pause_reading()

    def release(self) -> None:
        """Read on."""
        if self.is_held:
            self.is_held = False
            self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless it is held."""
        if not self.is_held:
            super().resume_reading()


class PipeliningProtocol(BoundedProtocol):
    """One connection; `serving` makes the class that a server takes."""

    line: ClassVar[_Line]
    room: ClassVar[memoryview]
    on_unread: ClassVar[Callable[[], None]]
    on_lost: ClassVar[Callable[[], None]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        self._unparsed = bytearray()
        self._body_left = 0
        self._running: RequestResponseCycle | None = None
        self._waits_since: float | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        # With TLS the bytes are copied out of their records anyway.
        self._reads_into_rooms = self.scheme == "http"
        if self._reads_into_rooms:
            transport.set_protocol(Parsed(self))
        self.flow: _HeldFlow = _HeldFlow(transport)
        with suppress(AttributeError, OSError):  # no TCP, or no such limit here
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell every request on it that its caller has gone."""
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self._unparsed.clear()
        self._stop_unread_timer()
        super().connection_lost(exc)
        type(self).on_lost()

    # --- reading ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse as far as no request waits for its turn; the rest waits unparsed."""
        if self._is_over:
            return
        if len(data) <= self._body_left and not self._unparsed:
            super().data_received(data)  # no request ends and begins in it
            return
        self._unparsed += data
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and not self.pipeline and not self._is_ending():
            piece = bytes(self._unparsed[: self._piece_bytes()])
            del self._unparsed[: len(piece)]
            super().data_received(piece)
        if self._is_over:
            self._unparsed.clear()
        if self.pipeline:
            self.flow.hold()
        else:
            self.flow.release()
        self._note_waiting()

    def _piece_bytes(self) -> int:
        if self._body_left:
            return self._body_left
        return _CHUNKED_PIECE_BYTES if self.is_reading_body() else _PIECE_BYTES

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._body_left = 0

    def on_headers_complete(self) -> None:
        """Start the request."""
        super().on_headers_complete()
        lengths = [value for name, value in self.headers if name == b"content-length"]
        self._body_left = int(lengths[0]) if lengths else 0
        if self._reads_into_rooms and self._body_left >= reception.LEAST_BYTES:
            reception.offer(self.scope, self)  # type: ignore[arg-type]  # a dict
            self.flow.pause_reading()  # until there is a room for it, or an answer

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        self._body_left = max(0, self._body_left - len(body))
        super().on_body(body)

    def direct_body(self, room: memoryview) -> DirectBody | None:
        """Return the rest of the body on its way into the room; see `reception.direct_body`."""
        cycle = self.cycle
        is_next = cycle is self._running and not self._unparsed and not self.flow.is_held
        asks = cycle.waiting_for_100_continue  # and is given leave with the first piece
        if not is_next or asks or not self._body_left or self.transport.is_closing():
            return None
        begun = len(cycle.body)
        if len(room) != begun + self._body_left:
            return None
        room[:begun] = cycle.body
        cycle.body.clear()
        body = DirectBody(self, room[begun:])
        self.flow.resume_reading()
        return body

    def end_body(self) -> None:
        """Go on with the next request; the parser has not seen the end of this one."""
        self._body_left = 0
        self.parser.begin_anew()  # type: ignore[attr-defined]  # of `NeverUpgrading`
        self.on_message_complete()
        self._await_next()

    def go_on_with_body(self, received: memoryview) -> None:
        """Go on with a body by way of the parser, which learns of what it has not seen."""
        for begin in range(0, len(received), reception.ROOM_BYTES):
            if self.parser is not None:
                self.parser.feed_data(received[begin : begin + reception.ROOM_BYTES])
                self.cycle.body.clear()  # its reader has it, or does not want it any more

    def _pass_over_body(self) -> None:
        if self._reads_into_rooms and self._body_left and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            UnwantedBody(self, self._body_left)

    def _on_slow_head(self) -> None:
        if self.flow.is_held:  # the rest of it is not read, here
            self._await_head()
        else:
            super()._on_slow_head()

    # --- turns -----------------------------------------------------------------------------------

    def _start_asgi_task(
        self, cycle: RequestResponseCycle, app: Any
    ) -> None:  # its type is private to uvicorn
        if self.flow.write_paused:  # its answer would wait behind unread ones
            self.pipeline.append((cycle, app))
            return
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on; the next request, if it is here already, stands in line."""
        waiting, self.pipeline = self.pipeline, deque()  # uvicorn would begin it at once
        super().on_response_complete()
        self.pipeline = waiting
        if waiting:
            self._unset_keepalive_if_required()
            self._stand_in_line()
        elif not self._unparsed:
            self._pass_over_body()

    def begin_next(self) -> None:
        """Begin the next request, whose turn it is."""
        if self.transport.is_closing() or not self.pipeline:
            return
        self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline:
            self._parse()

    def _stand_in_line(self) -> None:
        answered = self._running is None or self._running.response_complete
        if self.pipeline and answered and not self.flow.write_paused:
            self.line.join(self)

    # --- what waits ------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Note that more waits to be taken than a connection is given at once."""
        super().pause_writing()
        self._watch_unread()
        self._note_waiting()

    def resume_writing(self) -> None:
        """Go on, now that the answers were taken."""
        super().resume_writing()
        self._stop_unread_timer()
        self._note_waiting()
        self._stand_in_line()

    def waiting_bytes(self) -> int:
        """Return how much waits: of answers to be taken, and of requests for their turn."""
        unread = self.transport.get_write_buffer_size() if self.flow.write_paused else 0
        return unread + len(self._unparsed)

    def give_up(self) -> None:
        """Close at once; what waits is dropped."""
        self._waits_since = None
        type(self).on_unread()
        self.transport.abort()

    def _note_waiting(self) -> None:
        """Keep since when something waits; where too much does on all, close the oldest."""
        if not self.flow.write_paused and not self._unparsed:
            self._waits_since = None
            return
        self._waits_since = self._waits_since or self.loop.time()
        others = (other for other in self.connections if isinstance(other, PipeliningProtocol))
        since = {other: at for other in others if (at := other._waits_since) is not None}  # noqa: SLF001 - of its own class
        total = sum(other.waiting_bytes() for other in since)
        while total > self.bounds.waiting_bytes:
            oldest = min(since, key=since.__getitem__)
            del since[oldest]
            total -= oldest.waiting_bytes()
            oldest.give_up()

    def _watch_unread(self) -> None:
        size = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(_UNREAD_S, self._on_unread, size)

    def _on_unread(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch_unread()
        else:
            self.give_up()

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None


def serving(
    bounds: HttpSettings,
    *,
    on_refused: Callable[[], None],
    on_unread: Callable[[], None],
    on_lost: Callable[[], None] = lambda: None,
) -> type[PipeliningProtocol]:
    """Return the protocol of a server's connections.

    Parameters
    ----------
    bounds
        Of each connection, and of all together.
    on_refused
        Told of every connection that finds no room.
    on_unread
        Told of every connection that is closed since its answers are not read.
    on_lost
        Told of every connection that is over.
    """
    members = {
        "bounds": bounds,
        "line": _Line(),
        "room": reception.shared_room(),
        "on_refused": staticmethod(on_refused),
        "on_unread": staticmethod(on_unread),
        "on_lost": staticmethod(on_lost),
    }
    return type("PipeliningProtocol", (PipeliningProtocol,), members)
