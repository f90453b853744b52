"""Signs that a file which does not change has not been copied to its end.

A copy over SMB, or by robocopy, gives the file its whole length first: until its bytes come it ends
in zeros, and so does a picture with a black border. No sign here proves anything.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

# Less than a row of pixels; what a picture ends in by chance is shorter.
_ZEROS_BYTES: Final = 32
_PIECE_BYTES: Final = 1 << 20


class Sign(StrEnum):
    """A sign that more is to come."""

    OPEN = "open"  # it is open for writing
    HOLE = "hole"  # a part of it was never written
    ZEROS = "zeros"  # it ends in zeros


class HalfCopied(NamedTuple):
    """A file that may not be whole.

    Parameters
    ----------
    sign
        Signs that more is to come.
    written
        Bytes up to the last that is not zero, where it ends in zeros; else 0.
    """

    sign: Sign
    written: int = 0


def half_copied(path: str) -> HalfCopied | None:
    """Signs that a file is not whole; None where there are none, or no file that can be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # A file server may keep readers out while a file is written.
        held = error.errno in {errno.EBUSY, errno.ETXTBSY, errno.EAGAIN}
        return HalfCopied(Sign.OPEN) if held else None
    try:
        size = os.fstat(file).st_size
        if _has_writer(file):
            return HalfCopied(Sign.OPEN)
        if _has_hole(file, size):
            return HalfCopied(Sign.HOLE)
        return _ends_in_zeros(file, size)
    except OSError:
        return None
    finally:
        os.close(file)


def _has_writer(file: int) -> bool:
    """Return True if the file is open for writing, as far as the system tells.

    A read lease is granted where it is not. It is for the file's owner and for the superuser, and
    not for every file system. It is given back at once; should a program want to write at that very
    moment, the system says so by a signal, which ends the process unless it is one that is ignored.
    """
    if not hasattr(fcntl, "F_SETLEASE"):  # another system than Linux
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    with suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _has_hole(file: int, size: int) -> bool:
    if not size or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(file, 0, os.SEEK_HOLE) < size
    except OSError:  # the file system does not tell
        return False


def _ends_in_zeros(file: int, size: int) -> HalfCopied | None:
    end = os.pread(file, _ZEROS_BYTES, max(0, size - _ZEROS_BYTES))
    if not end or end.strip(b"\0"):
        return None
    at = size
    while at > 0:
        begin = max(0, at - _PIECE_BYTES)
        rest = os.pread(file, at - begin, begin).rstrip(b"\0")
        if rest:
            return HalfCopied(Sign.ZEROS, begin + len(rest))
        at = begin
    return HalfCopied(Sign.ZEROS)
