"""uvicorn's HTTP protocol within bounds: of connections, of heads, and of unread answers.

uvicorn itself waits for a head for ever, takes one of any size, and closes a connection over a body
that it has not read, which costs its sender the answer: the unread bytes make a reset of the close.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, NoReturn

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import (
    HeadTooLargeError,
    MalformedRequestError,
    OverloadedError,
    RadStreamError,
    RequestTooSlowError,
)
from gateway.http.middleware import security_headers
from gateway.http.problems import response_of
from gateway.http.protocol.request_smuggling import NeverUpgrading, ambiguity
from gateway.runtime.loop_lateness import Step

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from gateway.settings import HttpSettings

# How long the rest of a body is read and thrown away behind an answer that did not wait for it.
_LINGER_S = 30.0
# The same behind the answer to what is no request, of which nobody knows how long it is.
_FAREWELL_S = 5.0


class _Reading(Enum):
    """Part of a request that comes next on a connection."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()  # until the next request begins


class BoundedProtocol(HttpToolsProtocol):
    """One connection; see `gateway.http.protocol.pipelining` for the class that a server takes."""

    bounds: ClassVar[HttpSettings]
    on_refused: ClassVar[Callable[[], None]]
    _timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in place of a silent one if there are too many."""
        super().connection_made(transport)
        self.parser = NeverUpgrading(self, self._head)  # type: ignore[assignment]  # all that it uses
        self._reading = _Reading.NOTHING
        self._head_bytes = 0
        self._idle_bytes = 0
        self._is_head_request = False
        self._refusal: RadStreamError | None = None
        self._closes_after_body = False
        self._is_over = False
        self._since = self.loop.time()
        self._await_head()
        if len(self.connections) > self.bounds.connections and not self._make_room():
            type(self).on_refused()
            self._answer(OverloadedError("connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see what is still missing, and how long it may take."""
        was_reading, last = self._reading, self.cycle
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._is_ending():
            return
        if self._reading is _Reading.BODY and self._idle_bytes > self.bounds.head_bytes:
            self._answer(HeadTooLargeError(self.bounds.head_bytes))  # trailers without end
        elif self._reading is _Reading.HEAD:
            if self.cycle is last and was_reading is not _Reading.BODY:
                self._head_bytes += len(data)  # all of it is this head's
            if self._head_bytes > self.bounds.head_bytes:
                self._answer(HeadTooLargeError(self.bounds.head_bytes), lingers=True)
            elif was_reading is not _Reading.HEAD:
                self._timer.cancel()
                self._await_head()
        else:
            self._await_next()

    # --- what the parser tells -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._reading = _Reading.HEAD
        self._head_bytes = self._idle_bytes = 0
        self._is_head_request = False

    def on_url(self, url: bytes) -> None:
        """Take some of the target; the method stands before it."""
        super().on_url(url)
        self._is_head_request = self.parser.get_method() == b"HEAD"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; what comes behind the body is none (RFC 9110, section 6.5.1)."""
        if self._reading is _Reading.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large or may be read in two ways."""
        method, target, version, fields = self._head()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.bounds.head_bytes:
            self._refuse(HeadTooLargeError(self.bounds.head_bytes))
        if method == b"CONNECT":
            self._refuse(MalformedRequestError("This is no proxy."))
        if reason := ambiguity(target, version, fields):
            self._refuse(MalformedRequestError(reason))
        if self.parser.should_upgrade():
            return  # the same head comes again: see `NeverUpgrading`
        self._timer.cancel()
        self._reading = _Reading.BODY
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self, self.cycle)  # type: ignore[assignment]  # all it uses

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        if self.parser.should_upgrade():
            return
        self._reading = _Reading.NOTHING
        self._timer.cancel()
        super().on_message_complete()
        if self._closes_after_body:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser stopped at, with a problem."""
        self._answer(self._refusal or MalformedRequestError(msg), lingers=True)

    # --- what a request's answer tells -----------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on to the next request; a body that is still coming is thrown away."""
        super().on_response_complete()
        self._since = self.loop.time()
        if self._reading is _Reading.BODY and not self.transport.is_closing():
            self._timer.cancel()
            self._timer = self.loop.call_later(_LINGER_S, self.transport.close)

    def close_after_body(self, cycle: RequestResponseCycle) -> None:
        """Close once the body that was not read has come, so that its sender sees the answer.

        At once behind an answer that broke off: its sender is to see that it is not whole.
        """
        waits = cycle.waiting_for_100_continue  # and will send none
        if self._reading is not _Reading.BODY or waits or not cycle.response_complete:
            self.transport.close()
            return
        self._closes_after_body = True
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _head(self) -> tuple[bytes, bytes, str, list[tuple[bytes, bytes]]]:
        version = self.parser.get_http_version()
        return self.parser.get_method(), self.url, version, self.headers

    # --- refusing --------------------------------------------------------------------------------

    def is_silent(self) -> bool:
        """Return whether no request is under way on the connection, nor any part of one."""
        is_idle = self._is_answered() and self._reading is _Reading.NOTHING
        return (is_idle or self._is_over) and not self.transport.is_closing()

    def is_reading_body(self) -> bool:
        """Return True after a head and before the end of its body."""
        return self._reading is _Reading.BODY

    def _is_ending(self) -> bool:
        return self._is_over or self.transport.is_closing()

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> bool:
        """Close the oldest silent connection for this one; return False if there is none."""
        others = (other for other in self.connections if isinstance(other, BoundedProtocol))
        silent = [other for other in others if other is not self and other.is_silent()]
        if silent:
            min(silent, key=lambda other: other._since).transport.close()  # noqa: SLF001 - of its own class
        return bool(silent)

    def _refuse(self, error: RadStreamError) -> NoReturn:
        """End the parsing, and so the connection: see `send_400_response`."""
        self._refusal = error
        raise error

    def _await_next(self) -> None:
        """Close the connection in time unless a request begins, where none is under way.

        uvicorn has stopped its clock for bytes that began none.
        """
        is_over = self._reading is _Reading.NOTHING and self.cycle and self.cycle.response_complete
        if is_over and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _await_head(self) -> None:
        self._head_due = self.loop.time() + self.bounds.head_timeout_s
        self._look_for_head()

    def _look_for_head(self) -> None:
        step = Step.of(self.loop.time(), self._head_due)
        self._timer = self.loop.call_at(step.end, self._on_head_step, step)

    def _on_head_step(self, step: Step) -> None:
        now = self.loop.time()
        self._head_due += step.excused_s(now)
        if now < self._head_due:
            self._look_for_head()
        else:
            self._on_slow_head()

    def _on_slow_head(self) -> None:
        if self._reading is _Reading.HEAD:
            self._answer(RequestTooSlowError("head"))
        else:
            self.transport.close()

    def _answer(self, error: RadStreamError, *, lingers: bool = False) -> None:
        """Answer what never becomes a request of the application, and close.

        Parameters
        ----------
        lingers
            True if the sender may still be sending: to close over that would cost it the answer.
        """
        response = response_of(error, None)
        lines = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}"]
        fields = security_headers.ALL | dict(response.headers)
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines += ["connection: close", "", ""]
        body = b"" if self._is_head_request else bytes(response.body)
        self.transport.write("\r\n".join(lines).encode("latin-1") + body)
        if lingers and self._is_answered() and self.transport.can_write_eof():
            self._is_over = True
            self.transport.write_eof()
            self._timer.cancel()
            self._timer = self.loop.call_later(_FAREWELL_S, self.transport.close)
        else:
            self.transport.close()


class _Lingering:
    """The transport as a request sees it: closing it waits for the rest of the body."""

    __slots__ = ("_connection", "_cycle", "is_closing")

    def __init__(self, connection: BoundedProtocol, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        if not self.is_closing():  # the caller has gone: nobody is there to be told of an error
            self._connection.transport.write(data)

    def close(self) -> None:
        self._connection.close_after_body(self._cycle)
