"""Telemetry records on disk, for as long as their sink is slow or away.

Segments are files of lines, each a record with the CRC-32 of its key and data in front::

    1c291ca3 5f0e… {"event_id":…}

What a crash tore off ends without a newline and never counted as kept. `cut -d' ' -f3-` gives the
events of a segment.

Not a queue over SQLite: a segment is appended to and removed whole, and can be read without a
program.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.storage.append_only_file import AppendedFile
from gateway.telemetry.records import TelemetryRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

log = structlog.get_logger()

_SUFFIX = ".spool"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the spool, to be sent and then removed.

    Parameters
    ----------
    path
        Its file.
    records
        Its contents, in the order they came.
    damaged
        Number of lines that could not be read again.
    """

    path: Path
    records: tuple[TelemetryRecord, ...]
    damaged: int


class Spool:
    """A folder of segments, used by one process at a time, from one thread at a time.

    Every method touches the disk and may wait for it. Each append is forced to disk before it
    returns: what it counted is there after a crash, of the process or of the machine. Trouble with
    the disk is logged and never raised: then nothing is kept until it passes.

    Parameters
    ----------
    folder
        Made when the first record comes.
    limit_bytes
        Bytes of all segments together; records beyond them are not kept.
    segment_bytes
        Size from which a new segment is begun.

    Attributes
    ----------
    used_bytes : int
        Bytes of all segments, as far as this process has looked; any thread may read it.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, segment_bytes: int = 2**20) -> None:
        self._folder = folder.absolute()
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._sizes: dict[Path, int] = {}  # in the order of their numbers
        self._open: AppendedFile | None = None
        self._lock: int | None = None
        self._trouble: str | None = None
        self.used_bytes = 0

    def append(self, records: Sequence[TelemetryRecord]) -> int:
        """Write the first of the records to disk, all unless the spool is full; return their count.

        Where the disk fails or another process has the folder, that is 0.
        """
        if not self._try(self._is_mine):
            return 0
        lines = self._fitting([line_of(record) for record in records])
        if lines and not self._try(partial(self._append, b"".join(lines))):
            return 0
        self._note(None)
        return len(lines)

    def oldest(self) -> Segment | None:
        """Return the segment to be sent next; it takes no more records from now on."""
        while self._try(self._is_mine) and self._sizes:
            path = next(iter(self._sizes))
            if self._open is not None and self._open.path == path:
                self._seal()
            segment = self._try(partial(read_segment, path))
            if segment is None:
                self._forget(path)  # until the next start: the others shall not wait behind it
            elif segment.records or segment.damaged:
                return segment
            else:
                self.remove(segment)
        return None

    def remove(self, segment: Segment) -> None:
        """Forget a segment that was sent."""
        self._try(partial(segment.path.unlink, missing_ok=True))
        self._forget(segment.path)

    def close(self) -> None:
        """Leave the folder to another process."""
        self._seal()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._sizes.clear()
        self.used_bytes = 0

    def _append(self, data: bytes) -> bool:
        if self._open is None:
            number = 1 + max((int(path.stem) for path in self._sizes), default=0)
            self._open = AppendedFile(self._folder / f"{number:012d}{_SUFFIX}")
        file = self._open
        file.append(data)
        self._sizes[file.path] = file.size
        self.used_bytes += len(data)
        if file.size >= self._segment_bytes:
            self._seal()
        return True

    def _forget(self, path: Path) -> None:
        self.used_bytes -= self._sizes.pop(path)

    def _seal(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _fitting(self, lines: list[bytes]) -> list[bytes]:
        room = self._limit_bytes - self.used_bytes
        for index, line in enumerate(lines):
            room -= len(line)
            if room < 0:
                return lines[:index]
        return lines

    def _is_mine(self) -> bool:
        """Return True if this process has the folder, taken at the first call it is free."""
        if self._lock is not None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            self._note("another process uses the folder")
            return False
        self._lock = lock
        paths = sorted(self._folder.glob(f"{'[0-9]' * 12}{_SUFFIX}"))
        self._sizes = {path: path.stat().st_size for path in paths}
        self.used_bytes = sum(self._sizes.values())
        return True

    def _try(self, work: Callable[[], T]) -> T | None:
        """Return the work's result; None, and a line in the log, where the disk fails."""
        try:
            return work()
        except OSError as error:
            self._note(error.strerror or "input/output error")
            return None

    def _note(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble is None:
                log.info("telemetry.spool_usable")
            else:
                log.error("telemetry.spool_unusable", reason=trouble)


def line_of(record: TelemetryRecord) -> bytes:
    """Return the record as a line of a segment."""
    content = b"%s %s" % (record.key.encode("ascii"), record.data)
    return b"%08x %s" % (zlib.crc32(content), content)


def read_segment(path: Path) -> Segment:
    """Return the whole records of a file; how many lines are damaged is logged.

    Raises
    ------
    OSError
    """
    *lines, torn = path.read_bytes().split(b"\n")
    records = [_record(line + b"\n") for line in lines]
    whole = tuple(record for record in records if record is not None)
    damaged = len(records) - len(whole)
    if damaged or torn:
        log.warning("telemetry.spool_damaged", records=damaged, torn_bytes=len(torn))
    return Segment(path, whole, damaged)


def _record(line: bytes) -> TelemetryRecord | None:
    """Return the record in a line; None if it is not what was written."""
    checksum, _, content = line.partition(b" ")
    key, space, data = content.partition(b" ")
    if not space or checksum != b"%08x" % zlib.crc32(content):
        return None
    return TelemetryRecord(key.decode("ascii"), data)
