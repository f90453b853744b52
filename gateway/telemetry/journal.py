"""Telemetry records that are in memory alone, on disk as well in case the process is killed.

Each record is written as it comes, and not forced to disk: what the kernel has outlives the
process, though not the machine. Files hold lines as the spool's do. A file goes when all of its
records are in the sink or in the spool; what a killed process left is taken over at the next start.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from gateway.telemetry.spool import line_of, read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway.telemetry.records import TelemetryRecord
    from gateway.telemetry.spool import Segment

log = structlog.get_logger()

_FILE_BYTES = 2**18


class Journal:
    """Files of one process in a folder that several may share.

    Parameters
    ----------
    folder
        Made when the first record comes.
    file_bytes
        Size from which a new file is begun.

    Attributes
    ----------
    generation : int
        Number of the file that the next record goes to.
    """

    def __init__(self, folder: Path, *, file_bytes: int = _FILE_BYTES) -> None:
        self._folder = folder.absolute()
        self._file_bytes = file_bytes
        self._files: dict[int, tuple[Path, int]] = {}  # path and descriptor, which holds the lock
        self._size = 0
        self._unsettled: Counter[int] = Counter()
        self._usable = True
        self.generation = 1

    def note(self, record: TelemetryRecord) -> None:
        """Write a record of the current generation; trouble with the disk is logged once."""
        self._unsettled[record.generation] += 1
        line = line_of(record)
        try:
            if self.generation not in self._files:
                self._begin()
            os.write(self._files[self.generation][1], line)
        except OSError as error:
            if self._usable:
                self._usable = False
                reason = error.strerror or "input/output error"
                log.warning("telemetry.journal_unusable", reason=reason)
            return
        self._usable = True
        self._size += len(line)
        if self._size >= self._file_bytes:
            self.generation += 1
            self._size = 0

    def settle(self, records: Sequence[TelemetryRecord]) -> None:
        """Forget records that are safe elsewhere, or dropped."""
        self._unsettled.subtract(record.generation for record in records)
        for generation in [each for each in self._files if each != self.generation]:
            if not self._unsettled[generation]:
                del self._unsettled[generation]
                self._remove(generation)

    def left(self) -> Iterator[Segment]:
        """Yield what processes that were killed have left; each is removed by `forget`."""
        for path in sorted(self._folder.glob("journal-*.spool")):
            with suppress(OSError):  # gone by now, or its process lives
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield read_segment(path)
                finally:
                    os.close(descriptor)

    def close(self) -> None:
        """Remove the files: nothing is in memory any more."""
        for generation in list(self._files):
            self._remove(generation)

    def _begin(self) -> None:
        """Make the file, under its name once it is locked, so that no other takes it over."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"journal-{secrets.token_hex(8)}.spool"
        unnamed = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        descriptor = os.open(unnamed, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unnamed.rename(path)
        self._files[self.generation] = (path, descriptor)

    def _remove(self, generation: int) -> None:
        path, descriptor = self._files.pop(generation)
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def forget(segment: Segment) -> None:
    """Remove what `Journal.left` gave, once it is safe elsewhere."""
    with suppress(OSError):
        segment.path.unlink()
