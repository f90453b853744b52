"""Telemetry records as a sink takes them, and the limits of one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# PutRecords takes so much in one call; data and partition key count.
BATCH_RECORDS = 500
BATCH_BYTES = 5 * 2**20


class TelemetrySink(Protocol):
    """A sink of telemetry: each record at least once, in no promised order."""

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        """Return the positions of the records that were refused; all the others are safe there.

        Parameters
        ----------
        records
            At most `BATCH_RECORDS`, of `BATCH_BYTES` together; more is a ValueError.

        Raises
        ------
        SinkUnavailableError
            None is known to be safe there.
        """
        ...


class SinkUnavailableError(Exception):
    """The sink took none of the records, or may have taken some without saying so.

    Never raised at a study's sender, who is not concerned: no `RadStreamError`.

    Attributes
    ----------
    reason : str
        The service's error code or the kind of failure; nothing of the records.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TelemetryRecord:
    """One event on its way.

    Parameters
    ----------
    key
        Records of one key keep together in the stream; ASCII without spaces.
    data
        A JSON document in one line, with the newline that ends it.
    generation
        Number of the journal's file that has it too.
    """

    key: str
    data: bytes
    generation: int = field(default=0, compare=False)

    @property
    def size(self) -> int:
        """Bytes that count against the limits."""
        return len(self.data) + len(self.key)


def batches(records: Sequence[TelemetryRecord]) -> Iterator[Sequence[TelemetryRecord]]:
    """Yield the records in their order, in runs that one call can take."""
    start = size = 0
    for index, record in enumerate(records):
        if index - start == BATCH_RECORDS or size + record.size > BATCH_BYTES:
            yield records[start:index]
            start, size = index, 0
        size += record.size
    if start < len(records):
        yield records[start:]


def check_batch(records: Sequence[TelemetryRecord]) -> None:
    """Check that one call can take the records.

    Raises
    ------
    ValueError
        There are too many records, or bytes; see `batches`.
    """
    if len(records) > BATCH_RECORDS or sum(record.size for record in records) > BATCH_BYTES:
        raise ValueError(f"a batch has at most {BATCH_RECORDS} records and {BATCH_BYTES} bytes")
