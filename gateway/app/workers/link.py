"""Messages between the first process of a gateway and a worker, over a pair of sockets."""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum, auto
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import socket

YES, NO = b"1", b"0"
_HEAD = struct.Struct(">BI")  # kind, bytes


class Kind(IntEnum):
    """Kind of a message, with what stands in it."""

    # To a worker.
    ASSIGNMENT = auto()  # pickled `Assignment`, the first of all
    DRAIN = auto()
    QUIT = auto()
    PING = auto()
    GIVE_METRICS = auto()  # number of the question
    ALL_METRICS = auto()  # number of the worker's question, and the metrics of all
    TURN = auto()  # number of the worker's question, and YES if the turn is its own
    # From a worker.
    READY = auto()
    NOT_STARTED = auto()  # sentence for the operator
    CLOSED = auto()  # how many connections
    FAILED = auto()  # name of the part that died
    PONG = auto()
    METRICS = auto()  # number of the question, and the worker's metrics
    ASK_METRICS = auto()  # number of the question
    ASK_TURN = auto()  # number of the question, and the name of the turn
    END_TURN = auto()  # number of its question, YES if the turn was used, and its name
    RESTART_TRITON = auto()

    # Both ways; the first process passes it on to the others.
    REPORT = auto()  # an archive's report on storage commitment
    LOADED = auto()  # name of a model that Triton was asked to load


class Message(NamedTuple):
    """A message."""

    kind: Kind
    data: bytes


class Link:
    """One end of the way between the first process and a worker; the other end may be gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Return the link over a connected socket, which is its own from now on."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, kind: Kind, data: bytes = b"") -> None:
        """Send a message, in the order of the others; to an end that is gone it is lost."""
        if not self._writer.is_closing():
            self._writer.write(_HEAD.pack(kind, len(data)) + data)

    async def receive(self) -> Message | None:
        """Return the next message; None once the other end is gone."""
        try:
            kind, size = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            return Message(Kind(kind), await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def close(self) -> None:
        """Close this end, once what was sent has gone."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:  # the other end was gone
            return


def numbered(number: int, data: bytes = b"") -> bytes:
    """Return the data of a message that asks or answers a question."""
    return struct.pack(">I", number) + data


def number_of(data: bytes) -> tuple[int, bytes]:
    """Return the number of the question and the rest of the data."""
    return struct.unpack_from(">I", data)[0], data[4:]
