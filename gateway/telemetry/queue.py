"""Telemetry records in memory, bounded in bytes.

Not `asyncio.Queue`, which is bounded in items and hands out one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from gateway.telemetry.records import BATCH_BYTES, BATCH_RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.telemetry.records import TelemetryRecord

# What a record takes beside its own bytes: the objects around them.
_OVERHEAD_BYTES = 200


class RecordQueue:
    """Records in the order they came; used from one event loop.

    Parameters
    ----------
    limit_bytes
        Bytes of all records together in memory.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._records: deque[TelemetryRecord] = deque()
        self._payload_bytes = 0
        self._closed = False
        self._some = asyncio.Event()
        self._batch = asyncio.Event()
        self._crowd = asyncio.Event()

    @property
    def used_bytes(self) -> int:
        """Return the bytes of memory that the records take."""
        return self._payload_bytes + _OVERHEAD_BYTES * len(self._records)

    def offer(self, record: TelemetryRecord) -> bool:
        """Append the record; return False, appending nothing, if there is no room."""
        if not self._has_room(record):
            return False
        self._records.append(record)
        self._payload_bytes += record.size
        self._tell()
        return True

    def put_back(self, records: Sequence[TelemetryRecord]) -> int:
        """Put the last of the records, as many as fit, back as the oldest; return their number."""
        returned = 0
        for record in reversed(records):
            if not self._has_room(record):
                break
            self._records.appendleft(record)
            self._payload_bytes += record.size
            returned += 1
        self._tell()
        return returned

    def take(self) -> list[TelemetryRecord]:
        """Return the oldest records, as many as one call of a sink takes."""
        taken: list[TelemetryRecord] = []
        size = 0
        while self._records and len(taken) < BATCH_RECORDS:
            size += self._records[0].size
            if size > BATCH_BYTES:
                break
            taken.append(self._records.popleft())
        self._payload_bytes -= sum(record.size for record in taken)
        self._tell()
        return taken

    async def next_batch(self, linger_s: float) -> list[TelemetryRecord]:
        """Return the oldest records, once a batch is full or time is up; none at the queue's end.

        Parameters
        ----------
        linger_s
            Seconds to wait for more after the first record.
        """
        taken: list[TelemetryRecord] = []
        while not taken and not (self._closed and not self._records):
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._batch.wait(), linger_s)
            taken = self.take()
        return taken

    async def next_crowd(self) -> list[TelemetryRecord]:
        """Return the oldest records, once the queue is over half full; none at the queue's end."""
        taken: list[TelemetryRecord] = []
        while not taken and not self._closed:
            await self._crowd.wait()
            if self._crowd.is_set() and not self._closed:  # it may have been relieved meanwhile
                taken = self.take()
        return taken

    def close(self) -> None:
        """End the waiting: what is left is handed out at once."""
        self._closed = True
        self._tell()

    def _has_room(self, record: TelemetryRecord) -> bool:
        return self.used_bytes + record.size + _OVERHEAD_BYTES <= self._limit_bytes

    def _tell(self) -> None:
        crowded = self.used_bytes * 2 > self._limit_bytes
        full = len(self._records) >= BATCH_RECORDS or self._payload_bytes >= BATCH_BYTES
        for event, holds in (
            (self._some, bool(self._records)),
            (self._batch, full or crowded),
            (self._crowd, crowded),
        ):
            if holds or self._closed:
                event.set()
            else:
                event.clear()
