"""The telemetry sink as JSON lines in files: what one machine has instead of Kinesis."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gateway.storage.append_only_file import AppendedFile
from gateway.telemetry.records import SinkUnavailableError, check_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.telemetry.records import TelemetryRecord


class JsonLinesSink:
    """Records as lines of files in a folder; a new file when one is full, the oldest removed.

    Each process writes files of its own, named by the time they were begun, so that several may
    share the folder. A batch is forced to disk before it counts as taken.

    Parameters
    ----------
    folder
        Made when the first record comes.
    file_bytes
        Size from which a new file is begun.
    folder_bytes
        Size of all files together beyond which the oldest are removed.
    """

    def __init__(self, folder: Path, *, file_bytes: int, folder_bytes: int) -> None:
        self._folder = folder.absolute()
        self._file_bytes = file_bytes
        self._folder_bytes = folder_bytes
        self._file: AppendedFile | None = None
        # Its own thread: a call that nobody waits for any more still ends before the next begins.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="telemetry-file")

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        """See `TelemetrySink.put`; all records are taken, or none."""
        check_batch(records)
        lines = b"".join(record.data for record in records)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, lines)
        except OSError as error:
            raise SinkUnavailableError(error.strerror or "input/output error") from error
        return ()

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _append(self, lines: bytes) -> None:
        self._current().append(lines)

    def _current(self) -> AppendedFile:
        """The file to write to: a new one where the last is full, or was removed by someone."""
        if self._file is not None:
            if self._file.size < self._file_bytes and not self._file.removed:
                return self._file
            self._close()
        self._remove_oldest()
        begun = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        name = f"telemetry-{begun}-{secrets.token_hex(4)}.jsonl"
        self._file = AppendedFile(self._folder / name)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remove_oldest(self) -> None:
        """Make room for one more file."""
        files = sorted(self._folder.glob("telemetry-*.jsonl"))
        sizes = {path: path.stat().st_size for path in files}
        while files and sum(sizes.values()) + self._file_bytes > self._folder_bytes:
            oldest = files.pop(0)
            oldest.unlink(missing_ok=True)
            del sizes[oldest]
