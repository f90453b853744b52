"""Telemetry: events go in without waiting, and come out at their sink at least once.

An event waits in a queue that is bounded in bytes. Batches of the queue go to the sink. Where the
sink is away, or slower than the events come, they go to the spool on disk instead, and from there
to the sink when it can take them, after a restart if need be. The journal has what is in the queue,
so that a process that is killed loses nothing.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import TypeAdapter

from gateway.runtime.concurrency import first_of
from gateway.schemas.reading_event import Event
from gateway.telemetry.journal import forget
from gateway.telemetry.queue import RecordQueue
from gateway.telemetry.records import TelemetryRecord, batches
from gateway.telemetry.sender import BACKOFF, Sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from gateway.observability.metrics import Metrics
    from gateway.runtime.backoff import Backoff
    from gateway.telemetry.journal import Journal
    from gateway.telemetry.records import TelemetrySink
    from gateway.telemetry.spool import Segment, Spool

T = TypeVar("T")

log = structlog.get_logger()

_JSON: TypeAdapter[Event] = TypeAdapter(Event)
# How often the spool is looked at without a reason: its folder may have been another process's.
_RECHECK_S = 60.0
# After an unexpected error, and until the spool is tried again that had no room.
_PAUSE_S = 1.0


class Telemetry:
    """Telemetry: takes events, and delivers them while `running`.

    Parameters
    ----------
    sink
        Takes the records.
    spool
        Keeps the records that the sink does not take.
    journal
        Has what is in memory, should the process be killed.
    metrics
        Told of each record's fate.
    queue_bytes
        Bytes of records in memory. Beyond half of it records go to the spool, and beyond all of it,
        when the spool has no room or is too slow, they are dropped.
    linger_s
        Seconds that a record waits for others to be sent with.
    drain_s
        Seconds that delivery goes on when the gateway stops; what is left then is spooled.
    left
        Spools and journals of processes that this gateway has no more.
    backoff
        Between two tries.
    """

    def __init__(
        self,
        sink: TelemetrySink,
        spool: Spool,
        journal: Journal,
        metrics: Metrics,
        *,
        queue_bytes: int,
        linger_s: float,
        drain_s: float,
        left: Sequence[tuple[Spool, Journal]] = (),
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._sender = Sender(sink, metrics, backoff)
        self._spool = spool
        self._journal = journal
        self._left = left
        self._metrics = metrics
        self._queue = RecordQueue(queue_bytes)
        self._linger_s = linger_s
        self._drain_s = drain_s
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="telemetry-spool")
        self._spooled = asyncio.Event()
        self._spool_full = False
        self._draining = asyncio.Event()
        self._over = asyncio.Event()
        metrics.telemetry.queue_bytes.set_function(lambda: self._queue.used_bytes)
        metrics.telemetry.spool_bytes.set_function(lambda: self._spool.used_bytes)

    def emit(self, event: Event) -> None:
        """Take the event; never waits and never fails, whatever becomes of it."""
        data = _JSON.dump_json(event, by_alias=True) + b"\n"
        record = TelemetryRecord(event.study_ref, data, self._journal.generation)
        self._metrics.telemetry.queued.inc()
        if self._queue.offer(record):
            self._journal.note(record)
        else:
            reason = "spool_full" if self._spool_full else "queue_full"
            self._metrics.telemetry.dropped.labels(reason).inc()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver until the block ends, and then what the queue still holds."""
        await self._on_disk(self._take_over)
        replay = asyncio.create_task(_again_and_again(self._replay))
        emptying = [
            asyncio.create_task(_again_and_again(work)) for work in (self._send, self._relieve)
        ]
        try:
            yield
        finally:
            self._queue.close()
            self._draining.set()
            timer = asyncio.get_running_loop().call_later(self._drain_s, self._over.set)
            await asyncio.gather(*emptying, replay)
            timer.cancel()
            await self._on_disk(self._spool.close)
            self._journal.close()
            self._disk.shutdown()

    async def _send(self) -> None:
        """Take batches from the queue to the sink, or to the spool while the sink is away."""
        while batch := await self._queue.next_batch(self._linger_s):
            # With an empty spool nothing would find out that the sink is back.
            left: Sequence[TelemetryRecord] = batch
            if not (self._sender.away and self._spool.used_bytes):
                left = await self._sender.deliver(batch, stop=self._over)
                waiting = {id(record) for record in left}
                self._journal.settle([each for each in batch if id(each) not in waiting])
            await self._keep(left)

    async def _relieve(self) -> None:
        """Take to the spool what comes faster than the sink takes it."""
        while batch := await self._queue.next_crowd():
            await self._keep(batch)

    async def _replay(self) -> None:
        """Take segments of the spool to the sink, one after the other, until the gateway stops."""
        while not self._draining.is_set():
            self._spooled.clear()
            segment = await self._on_disk(self._spool.oldest)
            if segment is None:
                await first_of(self._spooled, self._draining, timeout_s=_RECHECK_S)
            elif await self._delivered(segment):
                await self._on_disk(partial(self._spool.remove, segment))

    async def _delivered(self, segment: Segment) -> bool:
        """Send the segment; return False if not all is in the sink: it is sent again whole."""
        for batch in batches(segment.records):
            if await self._sender.deliver(batch, stop=self._draining, persist=True):
                return False
        self._metrics.telemetry.replayed.inc(len(segment.records))
        self._metrics.telemetry.dropped.labels("damaged").inc(segment.damaged)
        return True

    async def _keep(self, records: Sequence[TelemetryRecord]) -> None:
        """Spool the records; those it has no room for wait in memory, as far as there is some."""
        if not records:
            return
        kept = await self._on_disk(partial(self._spool.append, records))
        self._metrics.telemetry.spooled.inc(kept)
        self._spooled.set()
        left = records[kept:]
        self._spool_full = bool(left)
        returned = 0 if self._draining.is_set() else self._queue.put_back(left)
        self._metrics.telemetry.dropped.labels("spool_full").inc(len(left) - returned)
        self._journal.settle([*records[:kept], *left[: len(left) - returned]])
        if returned:
            await first_of(self._draining, timeout_s=_PAUSE_S)

    def _take_over(self) -> None:
        """Spool what other processes have left: in memory alone as they were killed, or spooled."""
        for journal in (self._journal, *(journal for _, journal in self._left)):
            for segment in journal.left():
                if self._is_taken_over(segment):
                    forget(segment)
        for spool, _ in self._left:
            while (oldest := spool.oldest()) and self._is_taken_over(oldest):
                spool.remove(oldest)
            spool.close()

    def _is_taken_over(self, segment: Segment) -> bool:
        """Spool the records of a segment; return True if all of them found room."""
        kept = self._spool.append(segment.records)
        self._metrics.telemetry.spooled.inc(kept)
        if kept < len(segment.records):
            return False
        self._metrics.telemetry.dropped.labels("damaged").inc(segment.damaged)
        return True

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    """Run the work to its end, from the start again after an unexpected error."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("telemetry.unexpected_error")
            await asyncio.sleep(_PAUSE_S)
        else:
            return
