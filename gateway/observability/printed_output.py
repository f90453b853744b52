"""Standard error of codecs: counted and not repeated.

Libraries of C print to descriptor 2 whatever they like: libpng, the name of a colour profile with
its line breaks. The log gets a descriptor of its own, and descriptor 2 becomes a pipe.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TextIO

import structlog

log = structlog.get_logger()

_STDERR = 2
_PIPE_BYTES = 1 << 16
_PAUSE_S = 1.0  # between two events, however much is printed


def take_over_stderr() -> TextIO:
    """Return standard error as it was, for the log; what else is printed there is counted.

    `sys.stderr` goes on to the same place. The pipe does not block the writer: what finds it full
    is lost. A standard error that is not the process's own, or was taken over, stays.
    """
    if not _is_own(sys.stderr):
        return sys.stderr
    kept = os.fdopen(os.dup(_STDERR), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    os.dup2(writable, _STDERR)
    os.close(writable)
    sys.stderr = kept
    threading.Thread(target=_count, args=(readable,), daemon=True, name="printed-output").start()
    return kept


def _is_own(stream: TextIO) -> bool:
    try:
        return stream.fileno() == _STDERR
    except (OSError, ValueError, AttributeError):  # such as a test's, which has none
        return False


def _count(readable: int) -> None:
    while printed := os.read(readable, _PIPE_BYTES):
        log.warning("library.output", lines=printed.count(b"\n"), bytes=len(printed))
        time.sleep(_PAUSE_S)
