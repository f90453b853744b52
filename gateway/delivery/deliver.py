"""The job of bringing a result to its destination, and the states of such work.

The study's document decides, as for all work (see `gateway.work.worker`): an item that it lists as
waiting or sent is to be brought, once no earlier one for the same destination is.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.delivery.conformance import check
from gateway.errors import (
    DeadlineExceededError,
    DeliveryRefusedError,
    DeliveryUnansweredError,
    ParkedItemNotFoundError,
    RadStreamError,
    RenderingNotConformantError,
    StudyBeingDeletedError,
)
from gateway.problems import problem_of
from gateway.results.deliveries import (
    delivery_of,
    has_turn,
    is_on_its_way,
    with_delivery,
    without_delivery,
)
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import DeliveryState
from gateway.work.states import Standing, WorkStates

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from gateway.delivery.disclosures import Disclosure, Disclosures
    from gateway.delivery.renderers import Renderers
    from gateway.delivery.transport import Rendering, Transport
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import DeliveryItem, StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.runtime.circuit import Circuit
    from gateway.schemas.parked import ParkedItem
    from gateway.schemas.problem import Problem
    from gateway.schemas.routing import Destination
    from gateway.work.documents import PendingDelivery
    from gateway.work.keys import WorkId

log = structlog.get_logger()

GONE = "the routing document has no destination of this name"


class Deliver:
    """The job of bringing results to one destination.

    Parameters
    ----------
    name
        Of the destination.
    find
        Returns it and the way to it, as the routing document has them now.
    circuit
        Told of the destination's answers.
    documents, renderers
        The studies, and the makers of their renderings.
    disclosures
        Puts on record what was sent.
    ended
        Told of the study whose item ended: another one may have its turn.
    metrics
        Told of each attempt.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[str], tuple[Destination, Transport] | None],
        circuit: Circuit,
        *,
        documents: StudyDocuments,
        renderers: Renderers,
        disclosures: Disclosures,
        ended: Callable[[StudyRecord], None],
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._find = find
        self._circuit = circuit
        self._documents = documents
        self._renderers = renderers
        self._disclosures = disclosures
        self._ended = ended
        self._metrics = metrics

    async def perform(self, work: WorkId, document: PendingDelivery, deadline: Deadline) -> None:
        """Bring it once.

        Raises
        ------
        DeliveryUnansweredError
            The destination did not acknowledge it, or does not hold what it acknowledged.
        DeliveryRefusedError, RenderingNotConformantError
        """
        record = (await self._documents.read(work.study_id)).open_record()
        item = None if record is None else delivery_of(record, work.id)
        if record is None or item is None or not is_on_its_way(item):
            return
        renderings = await self._rendered(record, document)
        if not renderings:  # a later state is brought, or there is nothing to bring
            await self._change(work, lambda record: without_delivery(record, work.id))
            return
        objects = tuple(rendering.uid for rendering in renderings)
        try:
            state = await self._bring(record, item, renderings, deadline)
        except DeliveryUnansweredError as error:
            news: dict[str, object] = {"attempts": document.attempts, "problem": problem_of(error)}
            if error.is_sent:
                news |= {"state": DeliveryState.SENT, "objects": objects}
            await self._change(work, lambda record: with_delivery(record, work.id, **news))
            raise
        await self._change(
            work,
            lambda record: with_delivery(
                record,
                work.id,
                state=state,
                attempts=document.attempts,
                objects=objects,
                problem=None,
            ),
        )
        log.info("delivery.ended", destination=self._name, state=state, attempts=document.attempts)

    async def failed(self, work: WorkId, document: PendingDelivery, problem: Problem) -> None:
        """Do nothing: the study's document and the parked item tell of it."""
        del work, document, problem

    async def ended(self, work: WorkId, document: PendingDelivery) -> None:
        """Do nothing: the destination has it."""

    async def _rendered(
        self, record: StudyRecord, document: PendingDelivery
    ) -> Sequence[Rendering]:
        """Return the objects to bring, each checked; none where there are none."""
        now = record.completion
        if document.revision and (now is None or now.work != document.revision):
            return ()
        found = self._find(self._name)
        if found is None:
            raise DeliveryRefusedError(GONE)
        renderer = self._renderers.get(document.rendering)
        if renderer is None:
            raise DeliveryRefusedError(f"no {document.rendering} is made here")
        renderings = await renderer(record.study_id, found[0])
        try:
            for rendering in renderings:
                await asyncio.to_thread(check, rendering)
        except RenderingNotConformantError:
            self._count("withheld")
            raise
        return renderings

    async def _bring(
        self,
        record: StudyRecord,
        item: DeliveryItem,
        renderings: Sequence[Rendering],
        deadline: Deadline,
    ) -> DeliveryState:
        found = self._find(self._name)
        if found is None:
            raise DeliveryRefusedError(GONE)
        destination, transport = found
        disclosure = self._disclosures.of(record, destination, renderings)
        try:
            async with deadline.bounds("delivery"):
                if item.state is DeliveryState.SENT and await _may_be_there(
                    transport, renderings, deadline
                ):
                    self._succeeded("confirmed")
                    return DeliveryState.CONFIRMED
                for rendering in renderings:
                    await transport.send(rendering, deadline)
        except (DeliveryUnansweredError, DeliveryRefusedError, DeadlineExceededError) as error:
            await self._note_failure(error, disclosure)
        await disclosure.succeeded()
        return await self._confirmed(transport, renderings, deadline)

    async def _confirmed(
        self, transport: Transport, renderings: Sequence[Rendering], deadline: Deadline
    ) -> DeliveryState:
        try:
            async with deadline.bounds("delivery"):
                held = await _are_held(transport, renderings, deadline)
        except (DeliveryUnansweredError, DeliveryRefusedError, DeadlineExceededError):
            held = None  # it acknowledged, which is enough
        if held is False:
            self._succeeded("not_held")
            raise DeliveryUnansweredError("it acknowledged it and does not hold it", is_sent=True)
        state = DeliveryState.CONFIRMED if held else DeliveryState.ACKNOWLEDGED
        self._succeeded(state)
        return state

    async def _note_failure(self, error: RadStreamError, disclosure: Disclosure) -> NoReturn:
        if isinstance(error, DeadlineExceededError):
            error = DeliveryUnansweredError("it did not answer in time", is_sent=True)
        if isinstance(error, DeliveryUnansweredError):
            self._circuit.failed(error.retry_after_s)
            self._count("unanswered")
            if error.is_sent:
                await disclosure.failed()
        else:
            self._circuit.succeeded()
            self._count("refused")
            await disclosure.refused()
        raise error

    def _succeeded(self, outcome: str) -> None:
        self._circuit.succeeded()
        self._count(outcome)

    def _count(self, outcome: str) -> None:
        self._metrics.delivery.attempts.labels(self._name, outcome).inc()

    async def _change(self, work: WorkId, change: Callable[[StudyRecord], StudyRecord]) -> None:
        record = await self._documents.change_known(work.study_id, change)
        self._ended(record)


class DeliveryStates(WorkStates):
    """States of deliveries in the documents of their studies.

    Parameters
    ----------
    documents
        The studies.
    ended
        Told of the study whose item ended.
    """

    def __init__(self, documents: StudyDocuments, ended: Callable[[StudyRecord], None]) -> None:
        self._documents = documents
        self._ended = ended

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """See `WorkStates.standing`."""
        try:
            record = (await self._documents.read(work.study_id)).open_record()
        except StudyBeingDeletedError:
            return Standing.DELETED
        if record is None:
            return Standing.DELETED
        item = delivery_of(record, work.id)
        if item is None:
            return Standing.DONE if tried else Standing.UNPROMISED
        if item.state is DeliveryState.PARKED:
            return Standing.FAILED
        if not is_on_its_way(item):
            return Standing.DONE
        return Standing.PENDING if has_turn(record, item) else Standing.QUEUED

    async def failed(self, work: WorkId, attempts: int, item: ParkedItem) -> None:
        """See `WorkStates.failed`."""

        def change(record: StudyRecord) -> StudyRecord:
            before = delivery_of(record, work.id)
            if before is None or not is_on_its_way(before):
                return record
            return with_delivery(
                record,
                work.id,
                state=DeliveryState.PARKED,
                attempts=attempts or before.attempts,
                problem=item.problem,
            )

        self._ended(await self._documents.change_known(work.study_id, change))

    async def revived(self, work: WorkId, due: dt.datetime) -> None:
        """See `WorkStates.revived`.

        Raises
        ------
        ParkedItemNotFoundError
            It has not failed.
        """
        del due

        def change(record: StudyRecord) -> StudyRecord:
            item = delivery_of(record, work.id)
            if item is None:
                raise ParkedItemNotFoundError
            if item.state is not DeliveryState.PARKED:
                return record
            return with_delivery(record, work.id, state=DeliveryState.WAITING)

        await self._documents.change_known(work.study_id, change)

    async def discarded(self, work: WorkId) -> bool:
        """See `WorkStates.discarded`."""

        def change(record: StudyRecord) -> StudyRecord:
            item = delivery_of(record, work.id)
            if item is None or item.state is not DeliveryState.PARKED:
                return record
            return without_delivery(record, work.id)

        record = await self._documents.change_known(work.study_id, change)
        item = delivery_of(record, work.id)
        return item is None or not is_on_its_way(item)


async def _are_held(
    transport: Transport, renderings: Sequence[Rendering], deadline: Deadline
) -> bool | None:
    """Return True if all objects are held; None where the destination cannot be asked for all."""
    answers = [await transport.is_held(rendering, deadline) for rendering in renderings]
    if False in answers:
        return False
    return None if None in answers else True


async def _may_be_there(
    transport: Transport, renderings: Sequence[Rendering], deadline: Deadline
) -> bool:
    """Return True if what came to no answer is there after all; else it is sent once more."""
    half = Deadline.after(deadline.remaining_s() / 2)
    with suppress(DeliveryUnansweredError, DeliveryRefusedError):
        return await _are_held(transport, renderings, half) is True
    return False
