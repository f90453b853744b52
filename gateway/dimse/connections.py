"""TCP and TLS up to the association request, in one thread for all connections.

A connection is worth no thread before it has said who it is: a load balancer's probe, a port scan,
half a request or a TLS handshake that never ends takes a socket and a few hundred bytes, for a few
seconds. pynetdicom's own server gives each connection two threads and a place among the
associations, and waits for a TLS handshake before it accepts the next connection.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from gateway.dimse.associate_request import HEAD_BYTES, request_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

# Reasons for the end of a connection before its association request is whole.
ENDS = ("silent", "closed", "timeout", "tls", "malformed", "displaced")

# Connections that the system holds until they are accepted.
_BACKLOG = 1024
_PIECE_BYTES = 1 << 16
_AFTER_FAULT_S = 0.1


@dataclass(eq=False, slots=True)
class _Arrival:
    """A connection that has not said yet who it is."""

    socket: socket.socket
    address: str
    expires_at: float
    handshaken: bool
    received: bytearray = field(default_factory=bytearray)


class Connections:
    """Accepts connections, and hands on those that ask for an association.

    Parameters
    ----------
    host, port
        Address to listen on; port 0 takes a free one.
    context
        Returns the TLS context for a new connection; None for plain TCP.
    timeout_s
        Seconds from a connection to its whole association request.
    most
        Connections that may wait at once; beyond them the oldest gives its place to the newest.
    on_request
        Called in the listener's thread with the socket, which blocks, the peer's address and the
        request. The socket is its own from then on.
    on_end
        Called with one of `ENDS` when a connection ends before.
    on_fault
        Called when the thread ends by itself.

    Attributes
    ----------
    address
        Host and port that are listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: Callable[[], ssl.SSLContext | None],
        timeout_s: float,
        most: int,
        on_request: Callable[[socket.socket, str, bytes], None],
        on_end: Callable[[str], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._most = most
        self._on_request = on_request
        self._on_end = on_end
        self._on_fault = on_fault
        self._listener = _listening(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._arrivals: dict[_Arrival, None] = {}  # in the order in which they expire
        self._thread = Thread(target=self._run, name="dimse-listener", daemon=True)

    def start(self) -> None:
        """Accept connections from now on."""
        self._thread.start()

    def close(self) -> None:
        """Listen no longer, and close what has not asked for an association; blocks until then."""
        os.write(self._wake_writer, b"x")
        self._thread.join()
        self._listener.close()
        for arrival in list(self._arrivals):
            self._drop(arrival, "closed")
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            log.exception("dimse.listener_failed")
            self._on_fault()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._wait_s()):
                if key.fileobj == self._wake_reader:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._go_on(key.data)
            self._expire()

    def _wait_s(self) -> float | None:
        oldest = next(iter(self._arrivals), None)
        return None if oldest is None else max(0.0, oldest.expires_at - time.monotonic())

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # such as of a process that may open no more files
            log.warning("dimse.not_accepted", error=error.strerror)
            time.sleep(_AFTER_FAULT_S)
            return
        connection.setblocking(False)
        context = self._context()
        if context is not None:
            # The handshake is made when bytes come: a peer that sends none keeps nobody waiting.
            connection = context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        expires_at = time.monotonic() + self._timeout_s
        arrival = _Arrival(connection, address[0], expires_at, handshaken=context is None)
        if len(self._arrivals) >= self._most:
            self._drop(next(iter(self._arrivals)), "displaced")
        self._arrivals[arrival] = None
        self._selector.register(connection, selectors.EVENT_READ, arrival)

    def _go_on(self, arrival: _Arrival) -> None:
        if arrival not in self._arrivals:  # displaced since it was selected
            return
        try:
            if not arrival.handshaken:
                arrival.socket.do_handshake()  # type: ignore[attr-defined]  # an SSLSocket
                arrival.handshaken = True
            self._read(arrival)
        except ssl.SSLWantWriteError:
            self._selector.modify(arrival.socket, selectors.EVENT_WRITE, arrival)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._selector.modify(arrival.socket, selectors.EVENT_READ, arrival)
        except ssl.SSLError:
            self._drop(arrival, "tls")
        except OSError:
            self._drop(arrival, "closed")

    def _read(self, arrival: _Arrival) -> None:
        """Read until the request is whole, or nothing is there."""
        while True:
            wanted = HEAD_BYTES
            if len(arrival.received) >= HEAD_BYTES:
                whole = request_bytes(bytes(arrival.received[:HEAD_BYTES]))
                if whole is None:
                    self._drop(arrival, "malformed")
                    return
                wanted = whole
            if len(arrival.received) == wanted:
                self._hand_on(arrival)
                return
            # Not a byte more than the request: what follows is the association's.
            piece = arrival.socket.recv(min(wanted - len(arrival.received), _PIECE_BYTES))
            if not piece:
                self._drop(arrival, "closed" if arrival.received else "silent")
                return
            arrival.received += piece

    def _hand_on(self, arrival: _Arrival) -> None:
        del self._arrivals[arrival]
        self._selector.unregister(arrival.socket)
        arrival.socket.setblocking(True)
        try:
            self._on_request(arrival.socket, arrival.address, bytes(arrival.received))
        except Exception:
            log.exception("dimse.request_failed")
            arrival.socket.close()

    def _expire(self) -> None:
        now = time.monotonic()
        while self._arrivals:
            oldest = next(iter(self._arrivals))
            if oldest.expires_at > now:
                return
            self._drop(oldest, "timeout")

    def _drop(self, arrival: _Arrival, reason: str) -> None:
        del self._arrivals[arrival]
        self._selector.unregister(arrival.socket)
        with suppress(OSError):
            arrival.socket.close()
        self._on_end(reason)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener
