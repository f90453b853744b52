"""Delivery of telemetry records to a sink, again and again where it refuses them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.runtime.backoff import Backoff
from gateway.telemetry.records import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from gateway.observability.metrics import Metrics
    from gateway.telemetry.records import TelemetryRecord, TelemetrySink

T = TypeVar("T")

log = structlog.get_logger()


BACKOFF = Backoff(first_s=0.2, longest_s=5.0, jitter=1.0)
# Tries without any success after which the sink counts as away.
_TRIES = 5


class Sender:
    """A sender of batches, record by record where only some are refused.

    Attributes
    ----------
    away : bool
        True if the sink has not taken anything for several tries.
    """

    def __init__(self, sink: TelemetrySink, metrics: Metrics, backoff: Backoff) -> None:
        self._sink = sink
        self._metrics = metrics
        self._backoff = backoff
        self._reason = ""
        self.away = False

    async def deliver(
        self, records: Sequence[TelemetryRecord], *, stop: asyncio.Event, persist: bool = False
    ) -> list[TelemetryRecord]:
        """Deliver the records; return those left when it gives up, none if all are delivered.

        Parameters
        ----------
        records
            At most what one call takes.
        stop
            Gives up at once when set; what is under way then may arrive all the same.
        persist
            True to go on while the sink is away.
        """
        rest = list(records)
        failures = 0
        while rest and not stop.is_set():
            refused = await self._put(rest, stop)
            failures = failures + 1 if len(refused) == len(rest) else 0
            rest = [rest[index] for index in refused]
            self._note(failures)
            if not rest or (self.away and not persist):
                break
            await self._backoff.wait(failures, stop)
            if not stop.is_set():
                self._metrics.telemetry.retried.inc(len(rest))
        return rest

    async def _put(self, records: Sequence[TelemetryRecord], stop: asyncio.Event) -> Sequence[int]:
        """Return the positions of the records that were not taken."""
        try:
            refused = await _unless(stop, self._sink.put(records))
        except SinkUnavailableError as error:
            self._reason = error.reason
            return range(len(records))
        except Exception as error:  # nothing that telemetry meets may end it
            log.exception("telemetry.unexpected_error")
            self._reason = type(error).__name__
            return range(len(records))
        if refused is None:
            return range(len(records))
        self._reason = "records refused"
        self._metrics.telemetry.sent.inc(len(records) - len(refused))
        return refused

    def _note(self, failures: int) -> None:
        """Keep `away` up to date, and log when it changes."""
        if failures >= _TRIES and not self.away:
            self.away = True
            log.warning("telemetry.sink_away", reason=self._reason)
        elif failures == 0 and self.away:
            self.away = False
            log.info("telemetry.sink_back")


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """Return the work's result; None where it was stopped."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for future in (task, stopped):
            future.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
