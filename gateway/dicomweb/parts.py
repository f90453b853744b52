"""The instances in a request's body, one after another as they come.

Each is whole in memory while it is stored, and the body never is: a request may bring more bytes
than there is memory. python-multipart finds the boundaries; what it leaves out of RFC 2046, the
text before the first one, is done here.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from gateway.errors import (
    BodyTooLargeError,
    MalformedRequestError,
    OverloadedError,
    TooManyPartsError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.errors import RadStreamError

    # Holds room for so many bytes of a part in all, or raises OverloadedError.
    Hold = Callable[[int], Awaitable[None]]

# Each costs an item of the answer, however small it is.
MOST_PARTS = 10_000
_MOST_HEADERS = 32
_LONGEST_PREAMBLE = 64 << 10
# Kept of a part that is not taken: enough for the UIDs that a DICOM file begins with.
_BEGINNING = 64 << 10

_ILL_FORMED = "The multipart body is not well-formed."
_NO_BOUNDARY = (
    "No line of the multipart body is the boundary that the Content-Type names. Lines end in CR LF."
)
_UNFINISHED = "The multipart body ends before its closing boundary."


@dataclass(slots=True)
class Part:
    """One part.

    Parameters
    ----------
    data
        Its bytes; only the first of them where it is not taken.
    error
        The reason why it is not taken.
    """

    data: bytearray = field(default_factory=bytearray)
    error: RadStreamError | None = None

    async def add(self, piece: bytes, hold: Hold, limit_bytes: int) -> None:
        """Add a piece of its bytes, for which room is held; of a part not taken, none."""
        if self.error is not None:
            return
        size = len(self.data) + len(piece)
        if size > limit_bytes:
            self.error = BodyTooLargeError(limit_bytes)
        else:
            try:
                await hold(size)
            except OverloadedError as error:
                self.error = error
        if self.error is None:
            self.data += piece
        else:
            self.data = bytearray((self.data[:_BEGINNING] + piece)[:_BEGINNING])


class Parts(Protocol):
    """The parts of a body, in its order."""

    async def next(self, hold: Hold) -> Part | None:
        """Return the next part, for which room is held; None from when there is none.

        Where the body breaks off behind parts that are whole, the rest of it is one that is not
        taken: the others may be stored by now, and their sender has to learn of it.

        Raises
        ------
        MalformedRequestError
            No part can be made out.
        TooManyPartsError
        RadStreamError
            Of whatever brings the bytes.
        """
        ...


class WholeBody:
    """A body that is one instance.

    Parameters
    ----------
    pieces
        The body.
    limit_bytes
        The longest instance taken.
    """

    def __init__(self, pieces: AsyncIterator[bytes], *, limit_bytes: int) -> None:
        self._pieces = pieces
        self._limit_bytes = limit_bytes
        self._read = False

    async def next(self, hold: Hold) -> Part | None:
        """Return the instance, once; see `Parts.next`.

        Raises
        ------
        BodyTooLargeError, OverloadedError
            At once: the rest of the body is of no use.
        """
        if self._read:
            return None
        self._read = True
        part = Part()
        async for piece in self._pieces:
            await part.add(piece, hold, self._limit_bytes)
            if part.error is not None:
                raise part.error
        return part


class RelatedParts:
    """The parts of a multipart/related body.

    Parameters
    ----------
    pieces
        The body.
    boundary
        As the Content-Type has it.
    limit_bytes
        The longest part taken.

    References
    ----------
    RFC 2387; RFC 2046, section 5.1.
    """

    def __init__(self, pieces: AsyncIterator[bytes], boundary: bytes, *, limit_bytes: int) -> None:
        self._pieces = pieces
        self._limit_bytes = limit_bytes
        self._first_line = re.compile(rb"(?:\A|\n)--%s(--)?[ \t]*\r\n" % re.escape(boundary))
        self._boundary = boundary
        self._preamble: bytearray | None = bytearray()
        self._parts = 0
        self._ended = False
        self._fault: MalformedRequestError | None = None
        # What the parser found of the last piece: bytes of a part, or None for its end.
        self._found: deque[bytes | None] = deque()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=_MOST_HEADERS,
            )
        except FormParserError as error:  # a boundary of hundreds of characters
            raise MalformedRequestError(_ILL_FORMED) from error

    async def next(self, hold: Hold) -> Part | None:
        """Return the next part; see `Parts.next`."""
        try:
            return await self._next(hold)
        except MalformedRequestError as error:
            if not self._parts:
                raise
            self._fault, self._ended = None, True
            return Part(error=error)

    async def _next(self, hold: Hold) -> Part | None:
        part = Part()
        while True:
            while self._found:
                found = self._found.popleft()
                if found is None:
                    self._count()
                    return part
                await part.add(found, hold, self._limit_bytes)
            if self._fault is not None:
                raise self._fault
            if self._ended:
                await self._pass_over_epilogue()
                return None
            piece = await anext(self._pieces, None)
            if piece is None:
                raise MalformedRequestError(_UNFINISHED if self._preamble is None else _NO_BOUNDARY)
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        try:
            if self._preamble is None:
                self._parser.write(piece)
            else:
                self._cut_preamble(self._preamble, piece)
        except FormParserError as error:
            self._fault = MalformedRequestError(_ILL_FORMED)  # behind what was found before it
            self._fault.__cause__ = error

    def _cut_preamble(self, preamble: bytearray, piece: bytes) -> None:
        """Begin with the first boundary, alone on its line, as the parser demands."""
        preamble += piece
        found = self._first_line.search(preamble)
        if found is not None:
            self._preamble = None
            self._parser.write(b"--%s%s\r\n" % (self._boundary, found[1] or b""))
            self._parser.write(bytes(preamble[found.end() :]))
        elif len(preamble) > _LONGEST_PREAMBLE:
            raise MalformedRequestError(_NO_BOUNDARY)

    async def _pass_over_epilogue(self) -> None:
        async for _ in self._pieces:
            pass

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooManyPartsError(MOST_PARTS)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _on_part_end(self) -> None:
        self._found.append(None)

    def _on_end(self) -> None:
        self._ended = True
