"""Files that hold other bytes though neither their length nor the time of their last write say so.

A copy may set length and time to the original's before its bytes come, and again behind them. The
system's own time of the last change tells that, but tells a new mode or link just the same: so the
bytes are compared.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from gateway.clients.settling import Whole

# Of files that are told at once no more is hashed, which takes a third of a second: they wait for
# it. Any change of the others makes them count as rewritten.
_MOST_BYTES: Final = 256 << 20


class Contents:
    """Files by name, with the time of their last change and a hash of their bytes at that time.

    It is kept in memory: after a restart a file's times count as those it had when it was told.
    """

    def __init__(self) -> None:
        self._changed_ns: dict[bytes, int] = {}
        self._digests: dict[bytes, bytes] = {}
        self._left_bytes = _MOST_BYTES

    def begin(self) -> None:
        """Begin with files that are told at once."""
        self._left_bytes = _MOST_BYTES

    def may_be_others(self, name: bytes, status: os.stat_result) -> bool:
        """Return True if the file has changed in any way since it was noted, which it is now."""
        return self._changed_ns.setdefault(name, status.st_ctime_ns) != status.st_ctime_ns

    def note(self, name: bytes, file: Whole) -> bool:
        """Keep what is in a file; return True if its bytes are or may be others than before."""
        before = self._digests.pop(name, None)
        self._changed_ns[name] = file.status.st_ctime_ns
        self._left_bytes -= file.status.st_size
        digest = _digest(file.path) if self._left_bytes >= 0 else None
        if digest is not None:
            self._digests[name] = digest
        return digest is None or digest != before

    def forget(self, names: Iterable[bytes]) -> None:
        """Forget files that are gone."""
        for name in names:
            self._changed_ns.pop(name, None)
            self._digests.pop(name, None)


def _digest(path: str) -> bytes | None:
    """Return a hash of the file's bytes; None where it cannot be read."""
    try:
        with open(path, "rb") as opened:  # noqa: PTH123 - no path of ours
            return hashlib.file_digest(opened, "blake2b").digest()
    except OSError:
        return None
