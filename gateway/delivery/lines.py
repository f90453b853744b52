"""A line to each destination: its entries, its worker and its circuit.

Each destination has a worker of its own, so that one that hangs holds up no other. A destination
that the routing document lists no longer keeps its line as long as entries are there: these are
parked, which an operator sees.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.delivery.deliver import Deliver
from gateway.delivery.delivery_states import DeliveryStates
from gateway.delivery.transports import AT_ONCE
from gateway.errors import RadStreamError, log_fields
from gateway.results.deliveries import delivery_of, next_for, with_delivery
from gateway.results.keys import withdrawn_study
from gateway.runtime.circuit import Circuit
from gateway.schemas.result import DeliveryState
from gateway.storage.layout import DELIVERIES
from gateway.work.documents import PendingDelivery
from gateway.work.entries import Entries
from gateway.work.keys import (
    WorkId,
    delivery_kind,
    destination_of,
    parked_key,
    to_the_second,
)
from gateway.work.parked_operations import ParkedWork
from gateway.work.worker import Worker

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from gateway.delivery.disclosures import Disclosures
    from gateway.delivery.renderers import Renderers
    from gateway.delivery.transports import Transports
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.routing.in_force import Routes, Routing
    from gateway.schemas.events import Delivery
    from gateway.schemas.parked import ParkedItem
    from gateway.schemas.problem import Problem
    from gateway.settings import DeliverySettings
    from gateway.storage.protocol import ObjectStore
    from gateway.work.claims import Claims
    from gateway.work.parked import Parking

log = structlog.get_logger()

# Destinations that a store may have entries of.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """The line to one destination."""

    entries: Entries[PendingDelivery]
    worker: Worker[PendingDelivery]
    parked: ParkedWork[PendingDelivery]


class DestinationLines:
    """Lines to all destinations that the routing document lists, or the store has entries of.

    Parameters
    ----------
    objects, documents, parking
        The store, the studies on it, and its parked items.
    routing, transports
        Destinations, and the ways to them.
    renderers
        Makers of the renderings.
    disclosures
        Puts on record what was sent.
    settings
        Times of an attempt, and of all.
    sweep_s
        Seconds between two sweeps for entries of other gateways.
    claims
        Makes claims that outlive an attempt.
    problem_of
        Says what an error means.
    metrics
        Told of all of it.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        parking: Parking,
        *,
        routing: Routing,
        transports: Transports,
        renderers: Renderers,
        disclosures: Disclosures,
        settings: DeliverySettings,
        sweep_s: float,
        claims: Claims,
        problem_of: Callable[[RadStreamError], Problem],
        metrics: Metrics,
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._parking = parking
        self._routing = routing
        self._transports = transports
        self._renderers = renderers
        self._disclosures = disclosures
        self._settings = settings
        self._sweep_s = sweep_s
        self._claims = claims
        self._problem_of = problem_of
        self._metrics = metrics
        self._lines: dict[str, Line] = {}
        self._new = asyncio.Event()
        routing.follow(self._look_again)

    def entries(self, destination: str) -> Entries[PendingDelivery]:
        """Return the entries of what is brought to a destination."""
        return self._line(destination).entries

    def take(self, destination: str, work: WorkId, due: dt.datetime) -> None:
        """Begin to bring it as soon as there is a turn for it."""
        self._line(destination).worker.take(work, due)

    async def run(self) -> NoReturn:
        """Bring what is due, for ever."""
        running: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._new.clear()
                for destination in self._routing.document.destinations:
                    self._line(destination.name)
                await self._look_for_entries()
                for name in self._lines.keys() - running:
                    group.create_task(self._lines[name].worker.run())
                    running.add(name)
                try:
                    async with asyncio.timeout(self._sweep_s):
                        await self._new.wait()
                except TimeoutError:
                    continue

    async def park(
        self, destination: str, work: WorkId, document: PendingDelivery, error: RadStreamError
    ) -> None:
        """Park an item that was acknowledged, and turns out not to be there.

        Parameters
        ----------
        document
            Job of the item, which an operator may have tried again.
        """
        entries = self._line(destination).entries
        parked = await self._parking.park_work(parked_key(entries.kind, work), error)
        await entries.keep_job(work, parked.parked_at, document)

        def change(record: StudyRecord) -> StudyRecord:
            item = delivery_of(record, work.id)
            if item is None or item.state is not DeliveryState.ACKNOWLEDGED:
                return record
            state = DeliveryState.PARKED
            return with_delivery(record, work.id, state=state, problem=parked.problem, warning=None)

        await self._documents.change_known(work.study_id, change)

    def owns(self, item: ParkedItem) -> bool:
        """See `ParkedOwner.owns`."""
        return item.half is None and destination_of(item.key) is not None

    def study_of(self, item: ParkedItem) -> str | None:
        """See `ParkedOwner.study_of`."""
        found = self._parked(item).study_of(item)
        return found and (withdrawn_study(found) or found)

    async def retry(self, item: ParkedItem) -> Delivery:
        """See `ParkedOwner.retry`."""
        found = await self._parked(item).retry(item)
        study_id = self._parked(item).study_of(item) or ""
        # The study of a withdrawal has no result any more.
        is_gone = withdrawn_study(study_id) is not None
        return found.model_copy(update={"study": None}) if is_gone else found

    async def discard(self, item: ParkedItem) -> None:
        """See `ParkedOwner.discard`."""
        await self._parked(item).discard(item)

    def count_parked(self, keys: Sequence[str]) -> None:
        """Set the metrics of parked items, by what each is of."""
        counts = Counter(filter(None, map(destination_of, keys)))
        self._metrics.delivery.keep_parked(dict.fromkeys(self._lines, 0) | counts)

    async def _look_for_entries(self) -> None:
        """Open the lines of destinations that other gateways, or other documents, had."""
        try:
            names = await self._objects.folders(DELIVERIES, after="", limit=_MOST)
        except RadStreamError as error:
            log.warning("delivery.sweep_failed", **log_fields(error))
            return
        for name in names:
            self._line(name)

    def _look_again(self, routes: Routes) -> None:
        del routes
        self._new.set()

    def _parked(self, item: ParkedItem) -> ParkedWork[PendingDelivery]:
        return self._line(destination_of(item.key) or "").parked

    def _line(self, name: str) -> Line:
        if name not in self._lines:
            self._lines[name] = self._made(name)
            self._new.set()
        return self._lines[name]

    def _made(self, name: str) -> Line:
        metrics = self._metrics.delivery
        metrics.expect(name)
        circuit = Circuit(changed=partial(self._tell_circuit, name))
        entries = Entries(
            self._objects,
            kind=delivery_kind(name),
            document=PendingDelivery,
            claims=self._claims,
        )
        states = DeliveryStates(self._objects, self._documents, partial(self._go_on, name))
        worker = Worker(
            entries,
            states,
            Deliver(
                name,
                self._transports.to,
                circuit,
                documents=self._documents,
                renderers=self._renderers,
                disclosures=self._disclosures,
                ended=partial(self._go_on, name),
                metrics=self._metrics,
            ),
            parking=self._parking,
            problem_of=self._problem_of,
            count=partial(metrics.keep_waiting, name),
            at_once=AT_ONCE,
            timeout_s=self._settings.timeout_s,
            sweep_s=self._sweep_s,
            give_up_s=self._settings.give_up_s,
            circuit=circuit,
        )
        return Line(entries, worker, ParkedWork(self._parking, entries, states, worker))

    def _go_on(self, name: str, record: StudyRecord) -> None:
        """Begin what comes next of a study."""
        following = next_for(record, name)
        if following is not None:
            work = WorkId(record.study_id, following.id)
            self.take(name, work, to_the_second(work.received_at))

    def _tell_circuit(self, name: str, is_open: bool) -> None:
        self._metrics.delivery.circuit_open.labels(name).set(is_open)
        log.warning("delivery.circuit", destination=name, open=is_open)
