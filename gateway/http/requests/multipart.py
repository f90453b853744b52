"""Parser of multipart bodies, in place: no part is copied, none goes to disk.

Over python-multipart's parser, without Starlette's form: that one copies parts, spools large ones
to disk, and reads names that are no UTF-8 as Latin-1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from gateway.errors import MalformedRequestError, TooManyPartsError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_ILL_FORMED = (
    "The multipart body is not well-formed: see that each header of a part is on one line of its "
    "own, and that lines end in CR LF."
)
_NO_BOUNDARY = (
    "No line of the multipart body is the boundary that the Content-Type names. Lines end in CR LF."
)


@dataclass(slots=True)
class Part:
    """One part.

    Parameters
    ----------
    headers
        By lower-case name; values as they were sent.
    data
        A view into the body.
    """

    headers: dict[str, bytes] = field(default_factory=dict)
    data: memoryview = field(default_factory=lambda: memoryview(b""))

    @property
    def name(self) -> str:
        """The field's name from Content-Disposition (RFC 7578, section 4.2), or nothing."""
        _, options = parse_options_header(self.headers.get("content-disposition", b""))
        return options.get(b"name", b"").decode("utf-8", "replace")


class _Collector:
    """The parser's callbacks. It gives bytes by their place in the one buffer it is fed."""

    def __init__(self, body: bytearray, limit: int) -> None:
        self.parts: list[Part] = []
        self.complete = False
        self._body = memoryview(body)
        self._limit = limit
        self._header_name = ""
        self._start: int | None = None
        self._end = 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        if len(self.parts) == self._limit:
            raise TooManyPartsError(self._limit)
        self.parts.append(Part())
        self._start = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name = bytes(data[start:end]).decode("ascii").lower()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].headers[self._header_name] = bytes(data[start:end])

    def _on_part_data(self, _data: bytes, start: int, end: int) -> None:
        if self._start is None:
            self._start = start
        self._end = end

    def _on_part_end(self) -> None:
        if self._start is not None:
            self.parts[-1].data = self._body[self._start : self._end]

    def _on_end(self) -> None:
        self.complete = True


def split(body: bytearray, content_type: str, *, limit: int) -> list[Part]:
    """Return the parts of a multipart body (RFC 2046, section 5.1).

    Parameters
    ----------
    body
        The whole body; the parts are views into it. What stands before the first boundary is
        cut off, which moves no byte of the rest.
    content_type
        The request's header, which carries the boundary.
    limit
        The most parts there may be.

    Raises
    ------
    MalformedRequestError
        The header has no boundary, or the body does not keep to it.
    TooManyPartsError
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedRequestError("The Content-Type of the request names no boundary.")
    has_boundary = _cut_preamble(body, boundary)
    collector = _Collector(body, limit)
    try:
        # Fed at once, every piece of data is a place in this buffer and never a look-behind.
        MultipartParser(boundary, collector.callbacks()).write(body)  # type: ignore[arg-type]  # only finds and compares, as bytes and bytearray both do
    except (FormParserError, UnicodeDecodeError) as error:
        raise MalformedRequestError(_ILL_FORMED if has_boundary else _NO_BOUNDARY) from error
    if not collector.complete:
        raise MalformedRequestError("The multipart body ends before its closing boundary.")
    return collector.parts


def _cut_preamble(body: bytearray, boundary: bytes) -> bool:
    """Begin the body with its first boundary, alone on its line, as the parser demands.

    Returns
    -------
    bool
        False where the body has no such line.

    References
    ----------
    RFC 2046, section 5.1.1: a preamble is ignored, and so is white space behind a boundary. A line
    that only begins like the boundary is none. The preamble's own lines may end in LF alone: were
    the first part taken for more of it, the metadata would be lost in silence.
    """
    line = rb"--%s(?:--)?" % re.escape(boundary)
    padding = rb"[ \t]*(?:\r\n|\Z)"
    found = re.match(rb"(%s)%s" % (line, padding), body)
    found = found or re.search(rb"\n(%s)%s" % (line, padding), body)
    if found is None:
        return False
    delimiter = found[1] + b"\r\n"
    begin, end = max(0, found.end() - len(delimiter)), found.end()
    del found  # a match holds the body, which could not be cut
    if body.startswith(delimiter):
        return True
    if end - begin == len(delimiter):
        body[begin:end] = delimiter
    del body[:begin]
    return True
