"""The telemetry sink as JSON lines in files: what one machine has instead of Kinesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.storage.rolling_file import RollingFile
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
        self._file = RollingFile(
            self._folder,
            "telemetry-%Y%m%dT%H%M%S.%fZ",
            file_bytes=file_bytes,
            prepare=self._remove_oldest,
        )
        self.close = self._file.close

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        """See `TelemetrySink.put`; all records are taken, or none."""
        check_batch(records)
        lines = b"".join(record.data for record in records)
        try:
            await self._file.append(lines)
        except OSError as error:
            raise SinkUnavailableError(error.strerror or "input/output error") from error
        return ()

    def _remove_oldest(self) -> None:
        """Make room for one more file."""
        files = sorted(self._folder.glob("telemetry-*.jsonl"))
        sizes = {path: path.stat().st_size for path in files}
        while files and sum(sizes.values()) + self._file_bytes > self._folder_bytes:
            oldest = files.pop(0)
            oldest.unlink(missing_ok=True)
            del sizes[oldest]
