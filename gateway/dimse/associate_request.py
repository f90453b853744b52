"""A-ASSOCIATE-RQ and A-ASSOCIATE-RJ, as far as they matter before an association is one.

Not pynetdicom's decoder: whoever is refused by title, address or number is to cost no thread and no
object, and nothing but these bytes is looked at before it is known who calls.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

# PS3.8, 9.3: type, reserved, length of the rest.
HEAD_BYTES = 6
_HEAD = struct.Struct(">BxL")
_TYPE_RQ, _TYPE_RJ = 0x01, 0x03
# PS3.8, table 9-11: protocol version, reserved, called and calling AE title, all after the head.
_TITLES = struct.Struct(">2x2x16s16s")
# 128 presentation contexts, each with all transfer syntaxes there are, take less.
MOST_BYTES = 1 << 18


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8, table 9-21)."""

    CALLING_AE_TITLE = (1, 1, 3)
    CALLED_AE_TITLE = (1, 1, 7)
    LIMIT = (2, 3, 2)
    CONGESTION = (2, 3, 1)

    @property
    def pdu(self) -> bytes:
        """The PDU that says so."""
        return _HEAD.pack(_TYPE_RJ, 4) + bytes((0, *self.value))


@dataclass(frozen=True, slots=True)
class Titles:
    """AE titles of a request, without the blanks around them."""

    called: str
    calling: str


def request_bytes(head: bytes) -> int | None:
    """Return the length of a whole request by its first six bytes; None where it is no request.

    Whatever the head says, no more than `MOST_BYTES` are waited for.
    """
    kind, length = _HEAD.unpack(head[:HEAD_BYTES])
    if kind != _TYPE_RQ or not _TITLES.size <= length <= MOST_BYTES:
        return None
    return HEAD_BYTES + int(length)


def titles(request: bytes) -> Titles:
    """Return the AE titles of a whole request."""
    called, calling = _TITLES.unpack_from(request, HEAD_BYTES)
    return Titles(_text(called), _text(calling))


def with_blanks(request: bytes) -> bytes:
    """Return a whole request with the AE titles as the standard pads them (PS3.5, 6.2).

    pynetdicom2 and others pad with NUL, which pynetdicom takes for a malformed request.
    """
    named = titles(request)
    end = HEAD_BYTES + _TITLES.size
    padded = (title.encode("ascii", "replace").ljust(16) for title in (named.called, named.calling))
    return request[: end - 32] + b"".join(padded) + request[end:]


def _text(title: bytes) -> str:
    return title.decode("ascii", errors="replace").strip(" \0")
