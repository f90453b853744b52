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
    from collections.abc import Iterable, Mapping

    from gateway.dropfolder.watched_folder.settling import Whole

# Of files that are told at once no more is hashed, which takes a third of a second: they wait for
# it. Any change of the others makes them count as rewritten.
_MOST_BYTES: Final = 256 << 20


class Contents:
    """Files by name, with the time of their last change and a hash of their bytes at that time.

    The times are kept in memory: after a restart they count as those of when the file was told.
    """

    def __init__(self) -> None:
        self._changed_ns: dict[bytes, int] = {}
        self._digests: dict[bytes, bytes] = {}
        self._fresh: dict[bytes, bytes] = {}
        self._left_bytes = _MOST_BYTES

    def recall(self, digests: Mapping[bytes, bytes]) -> None:
        """Know again what was in files before a restart."""
        self._digests = dict(digests)

    def begin(self) -> None:
        """Begin with files that are told at once."""
        self._left_bytes = _MOST_BYTES

    def fresh(self) -> dict[bytes, bytes]:
        """Return what was noted since this was asked before: a hash of each file's bytes."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def may_be_others(self, name: bytes, status: os.stat_result) -> bool:
        """Return True if the file has changed in any way since it was noted, which it is now."""
        return self._changed_ns.setdefault(name, status.st_ctime_ns) != status.st_ctime_ns

    def pass_over(self, name: bytes, status: os.stat_result) -> None:
        """Note that the file has changed, though its bytes cannot be compared."""
        self._changed_ns[name] = status.st_ctime_ns

    def note(self, name: bytes, file: Whole) -> bool:
        """Keep what is in a file; return True if its bytes are or may be others than before."""
        before = self._digests.pop(name, None)
        self._changed_ns[name] = file.status.st_ctime_ns
        self._left_bytes -= file.status.st_size
        digest = _digest(file.path) if self._left_bytes >= 0 else None
        if digest is not None:
            self._digests[name] = self._fresh[name] = digest
        return digest is None or digest != before

    def forget(self, names: Iterable[bytes]) -> None:
        """Forget files that are gone."""
        for name in names:
            self._changed_ns.pop(name, None)
            self._digests.pop(name, None)


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _digest(path: str) -> bytes | None:
    """Return a hash of the file's bytes; None where it cannot be read."""
    try:
        with open(path, "rb") as opened:  # noqa: PTH123 - no path of ours
            return hashlib.file_digest(opened, _hash).digest()
    except OSError:
        return None
