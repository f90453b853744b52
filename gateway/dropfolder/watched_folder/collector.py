"""Delivers the files of a watched folder: side by side, but those of one study in their order."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import GATEWAY
from gateway.dropfolder.dropped_lanes import Place
from gateway.errors import RadStreamError, log_fields
from gateway.runtime.backoff import Backoff
from gateway.schemas.parked import Half
from gateway.work.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from gateway.audit.trail import Audit
    from gateway.dropfolder.delivery_order import DeliveryOrder
    from gateway.dropfolder.dropped_lanes import DroppedLanes
    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.tenants import ObjectIntake
    from gateway.dropfolder.watched_folder.folder import Settled
    from gateway.dropfolder.watched_folder.ledger import Ledger

log = structlog.get_logger()

_BACKOFF = Backoff(first_s=0.5, longest_s=30.0)
# A pair that cannot be taken for so long lets the others of its study go by.
_GIVES_WAY_S = 60.0


@dataclass(eq=False, slots=True)
class _Pair:
    """Files that belong together; `passed` is set once others of their study may be taken."""

    files: list[Settled]
    place: Place
    passed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def was_there(self) -> bool:
        """True if all of it lay there before the gateway ran."""
        return all(file.was_there for file in self.files)


class Collector:
    """The collector, which delivers every file until it is done: no sender repeats a delivery.

    Parameters
    ----------
    deliveries
        Takes them.
    inbox, order
        Say which files belong together, and which to one study.
    lanes
        Tells the place of each pair among those that wait.
    ledger
        Told of what was taken.
    audit
        Told of every delivery.
    at_once
        Pairs under way at once. What lay there before the gateway ran gets half of that: what
        comes meanwhile does not wait behind it.
    """

    def __init__(
        self,
        deliveries: ObjectIntake,
        *,
        inbox: Inbox,
        order: DeliveryOrder,
        lanes: DroppedLanes,
        ledger: Ledger,
        audit: Audit,
        at_once: int,
    ) -> None:
        self._deliveries = deliveries
        self._inbox = inbox
        self._order = order
        self._lanes = lanes
        self._ledger = ledger
        self._audit = audit
        self._turns = Turns(at_once)
        self._turns_of_old = Turns(max(1, at_once // 2))
        self._last: dict[str, _Pair] = {}  # the one that came last, by study

    async def collect(self, batches: AsyncIterator[Sequence[Settled]]) -> None:
        """Deliver the files, which come in the order in which they are to count."""
        async with asyncio.TaskGroup() as group:
            async for batch in batches:
                old = [file for file in batch if file.was_there]
                if old:  # may be many, and each is looked at
                    group.create_task(self._begin(old, group))
                await self._begin([file for file in batch if not file.was_there], group)

    async def _begin(self, files: Iterable[Settled], group: asyncio.TaskGroup) -> None:
        """Have the files delivered, a pair when its last part came."""
        pairs: dict[str, list[Settled]] = {}
        for file in files:
            dropped = self._inbox.find(file.key)
            name = file.key if dropped is None else dropped.pair_reference
            pairs[name] = [*pairs.pop(name, ()), file]
        for found in pairs.values():
            study, place = await self._line(found[0].key)
            pair, before = _Pair(found, place), self._last.get(study)
            self._last[study] = pair
            group.create_task(self._deliver(pair, study, before))

    async def _line(self, key: str) -> tuple[str, Place]:
        """Return the study in whose order a file comes, and its place among those that wait."""
        dropped = self._inbox.find(key)
        if dropped is None:
            return key, Place()
        try:
            return await self._order.study(dropped), await self._lanes.place(dropped)
        except Exception:
            log.exception("dropfolder.unexpected_error")
            return dropped.stem, Place()

    async def _deliver(self, pair: _Pair, study: str, before: _Pair | None) -> None:
        try:
            if before is not None:
                await before.passed.wait()
            await self._until_taken(pair)
        finally:
            pair.passed.set()
            if self._last.get(study) is pair:
                del self._last[study]

    async def _until_taken(self, pair: _Pair) -> None:
        began, attempts = time.monotonic(), 0
        files = [file.file for file in pair.files]
        while True:
            try:
                async with self._turn(pair):
                    if not await asyncio.to_thread(self._ledger.were_taken, files):
                        await self._attempt(pair)
                        await asyncio.to_thread(self._ledger.take, files)
            except RadStreamError as error:
                log.warning("dropfolder.postponed", **log_fields(error))
            except Exception:
                log.exception("dropfolder.unexpected_error")
                return
            else:
                return
            if time.monotonic() - began >= _GIVES_WAY_S:
                pair.passed.set()
            await _BACKOFF.wait(attempts)
            attempts += 1

    async def _attempt(self, pair: _Pair) -> None:
        """Deliver each of the files, unless another's delivery takes it too."""
        covered: set[str] = set()
        for key in sorted((file.key for file in pair.files), key=self._is_image):
            if key in covered:
                continue
            dropped = self._inbox.find(key)
            if dropped is not None and dropped.half is Half.SIDECAR:
                covered |= {image.key for image in await self._inbox.images_of(dropped)}
            async with self._audit.of_work("drop folder: deliver", GATEWAY):
                await self._deliveries.deliver(key)

    def _is_image(self, key: str) -> bool:
        dropped = self._inbox.find(key)
        return dropped is None or dropped.half is Half.IMAGE

    @asynccontextmanager
    async def _turn(self, pair: _Pair) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if pair.was_there:
                await stack.enter_async_context(self._turns_of_old.turn(*pair.place))
            await stack.enter_async_context(self._turns.turn(*pair.place))
            yield
