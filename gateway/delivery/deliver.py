"""The job of bringing a result to its destination.

The study's document decides, as for all work (see `gateway.work.worker`): an item that it lists as
waiting or sent is to be brought, once no earlier one for the same destination is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.delivery.conformance import check
from gateway.errors import (
    DeadlineExceededError,
    DeliveryRefusedError,
    DeliveryUnansweredError,
    RenderingNotConformantError,
)
from gateway.problems import problem_of
from gateway.results.deliveries import (
    corrections_of,
    delivery_of,
    is_on_its_way,
    with_delivery,
    without_delivery,
)
from gateway.runtime.deadline import Deadline
from gateway.schemas.report_class import DEFAULT
from gateway.schemas.result import DeliveryState, RenderingKind
from gateway.work.keys import WorkId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.delivery.disclosures import Disclosure, Disclosures
    from gateway.delivery.renderers import Renderers
    from gateway.delivery.transport import Rendering, Transport
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import DeliveryItem, StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.runtime.circuit import Circuit
    from gateway.schemas.problem import Problem
    from gateway.schemas.routing_destinations import Destination
    from gateway.work.documents import PendingDelivery

log = structlog.get_logger()

GONE = "the routing document has no destination of this name"
# About four minutes of attempts: an archive that files later finds what it was sent before.
_MOST_UNPROVEN = 10
_DEFAULT_CLASS = DEFAULT.sop_class_uid


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
        sending = _Sending(item)
        try:
            await self._bring(record, item, document, sending, deadline)
        except (
            DeliveryUnansweredError,
            DeliveryRefusedError,
            RenderingNotConformantError,
        ) as error:
            news: dict[str, object] = {"attempts": document.attempts, "problem": problem_of(error)}
            if sending.uids:
                news |= sending.news | {"state": DeliveryState.SENT}
            await self._change(work, partial(_attempted, item, record, news, sending))
            raise
        if not sending.uids:  # a later state is brought, or there is nothing to bring
            await self._change(work, partial(_ended_unsent, item))
            return
        state = sending.state
        is_confirmed = state is DeliveryState.CONFIRMED
        news = sending.news | {
            "state": state,
            "attempts": document.attempts,
            "problem": None,
            "acknowledged": (),
            "unasked": (),
        }
        if is_confirmed:
            news |= {"confirmed": (), "warning": None}
        await self._change(work, partial(_attempted, item, record, news, sending))
        log.info("delivery.ended", destination=self._name, state=state, attempts=document.attempts)

    async def failed(self, work: WorkId, document: PendingDelivery, problem: Problem) -> None:
        """Do nothing: the study's document and the parked item tell of it."""
        del work, document, problem

    async def ended(self, work: WorkId, document: PendingDelivery) -> None:
        """Do nothing: the destination has it."""

    async def _bring(
        self,
        record: StudyRecord,
        item: DeliveryItem,
        document: PendingDelivery,
        sending: _Sending,
        deadline: Deadline,
    ) -> None:
        """Bring the objects one after another: together they may be larger than the images."""
        now = record.completion
        if document.revision and (now is None or now.work != document.revision):
            return
        found = self._find(self._name)
        if found is None:
            raise DeliveryRefusedError(GONE)
        destination, transport = found
        renderer = self._renderers.get(document.rendering)
        if renderer is None:
            raise DeliveryRefusedError(f"no {document.rendering} is made here")
        disclosure = self._disclosures.of(record, destination, document.rendering)
        work = WorkId(record.study_id, item.id)
        try:
            async with aclosing(renderer(record.study_id, destination)) as renderings:
                async for each in renderings:
                    rendering = replace(each, work=work, revision=item.revision)
                    await self._check(rendering)
                    if rendering.uid in item.acknowledged:
                        sending.note(rendering)
                        if rendering.uid in item.unasked:
                            await self._confirm(transport, rendering, sending, deadline)
                        continue
                    if item.state is DeliveryState.SENT and await _may_be_there(
                        transport, rendering, deadline
                    ):
                        sending.was_held(rendering)
                        self._succeeded("confirmed")
                        continue
                    await self._send(transport, rendering, sending, disclosure, deadline)
        finally:
            await disclosure.succeeded(sending.taken)
        self._look_at_unasked(sending)

    def _look_at_unasked(self, sending: _Sending) -> None:
        """Fail an attempt that could not ask for all that the destination took."""
        if sending.unasked.isdisjoint(sending.uids):
            return
        reason = f"it took the result and could not be asked for it: {sending.hindrance}"
        if sending.is_declined:
            sending.unproven += 1
            if sending.unproven >= _MOST_UNPROVEN:
                raise DeliveryRefusedError(reason)
        else:
            self._circuit.failed()
        raise DeliveryUnansweredError(reason, is_sent=True)

    async def _check(self, rendering: Rendering) -> None:
        try:
            await asyncio.to_thread(check, rendering)
        except RenderingNotConformantError:
            self._count("withheld")
            raise

    async def _send(
        self,
        transport: Transport,
        rendering: Rendering,
        sending: _Sending,
        disclosure: Disclosure,
        deadline: Deadline,
    ) -> None:
        try:
            async with deadline.bounds("delivery"):
                await transport.send(rendering, deadline)
        except (DeliveryUnansweredError, DeliveryRefusedError, DeadlineExceededError) as error:
            if isinstance(error, DeliveryRefusedError):
                self._circuit.succeeded()
                self._count("refused")
                await disclosure.refused(rendering)
                raise
            if isinstance(error, DeadlineExceededError):
                error = DeliveryUnansweredError("it did not answer in time", is_sent=True)
            self._circuit.failed(error.retry_after_s)
            self._count("unanswered")
            if error.is_sent:
                sending.note(rendering)
                await disclosure.failed(rendering)
            raise error from None
        sending.was_acknowledged(rendering)
        await self._confirm(transport, rendering, sending, deadline)

    async def _confirm(
        self, transport: Transport, rendering: Rendering, sending: _Sending, deadline: Deadline
    ) -> None:
        held, uid = None, rendering.uid  # it acknowledged, which is enough
        sending.unasked.discard(uid)
        try:
            async with deadline.bounds("delivery"):
                held = await transport.is_held(rendering, deadline)
        except (DeliveryUnansweredError, DeliveryRefusedError, DeadlineExceededError) as error:
            reason = getattr(error, "reason", "it could not be asked for the result in time")
            log.warning("delivery.not_confirmed", destination=self._name, reason=reason)
            if isinstance(error, DeliveryUnansweredError) and error.is_unasked:
                sending.was_unasked(rendering, error)
                if uid not in sending.taken:
                    self._count("unanswered")
                    return
            else:
                sending.warning = reason
        if held is False:
            self._succeeded("not_held")
            sending.acknowledged.discard(uid)
            sending.unproven += 1
            reason = "it acknowledged the result and does not hold it"
            if sending.unproven >= _MOST_UNPROVEN:
                raise DeliveryRefusedError(reason)
            raise DeliveryUnansweredError(reason, is_sent=True)
        if held:
            sending.confirmed.add(uid)
        self._succeeded(DeliveryState.CONFIRMED if held else DeliveryState.ACKNOWLEDGED)

    def _succeeded(self, outcome: str) -> None:
        self._circuit.succeeded()
        self._count(outcome)

    def _count(self, outcome: str) -> None:
        self._metrics.delivery.attempts.labels(self._name, outcome).inc()

    async def _change(self, work: WorkId, change: Callable[[StudyRecord], StudyRecord]) -> None:
        record = await self._documents.change_known(work.study_id, change)
        self._ended(record)


@dataclass(slots=True)
class _Sending:
    """Objects of an item, as an attempt goes on.

    Parameters
    ----------
    item
        The item before it.
    uids
        Of all that the destination may have, as far as this attempt came.
    taken
        Those that it took in this attempt.
    classes
        SOP Class UIDs of reports that are no Comprehensive 3D SR.
    hindrance, is_declined
        The last reason why it could not be asked for one; True if it is there all the same.

    Attributes
    ----------
    acknowledged, unasked, confirmed, unproven, warning
        Those of the item, which this attempt goes on with.
    """

    item: DeliveryItem
    uids: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    hindrance: str = ""
    is_declined: bool = False
    acknowledged: set[str] = field(init=False)
    unasked: set[str] = field(init=False)
    confirmed: set[str] = field(init=False)
    unproven: int = field(init=False)
    warning: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.acknowledged = set(self.item.acknowledged)
        self.unasked = set(self.item.unasked)
        self.confirmed = set(self.item.confirmed)
        self.unproven = self.item.unproven
        self.warning = self.item.warning

    @property
    def state(self) -> DeliveryState:
        """Return the state of an item whose objects were all taken."""
        are_held = self.confirmed.issuperset(self.uids)
        return DeliveryState.CONFIRMED if are_held else DeliveryState.ACKNOWLEDGED

    @property
    def news(self) -> dict[str, object]:
        """Return what changes of the item, whatever becomes of the attempt."""
        return {
            "objects": tuple(dict.fromkeys((*self.item.objects, *self.uids))),
            "classes": {**self.item.classes, **self.classes},
            "acknowledged": tuple(sorted(self.acknowledged)),
            "unasked": tuple(sorted(self.unasked)),
            "confirmed": tuple(sorted(self.confirmed)),
            "unproven": self.unproven,
            "warning": self.warning,
        }

    def note(self, rendering: Rendering) -> None:
        """Note an object that the destination may have."""
        self.uids.append(rendering.uid)
        is_report = rendering.kind is RenderingKind.STRUCTURED_REPORT
        if is_report and rendering.sop_class_uid not in {None, _DEFAULT_CLASS}:
            self.classes[rendering.uid] = str(rendering.sop_class_uid)

    def was_held(self, rendering: Rendering) -> None:
        """Note an object that the destination has of an attempt before."""
        self.note(rendering)
        self.acknowledged.add(rendering.uid)
        self.confirmed.add(rendering.uid)

    def was_acknowledged(self, rendering: Rendering) -> None:
        """Note an object that the destination took."""
        self.note(rendering)
        self.taken.append(rendering.uid)
        self.acknowledged.add(rendering.uid)

    def was_unasked(self, rendering: Rendering, error: DeliveryUnansweredError) -> None:
        """Note an object that the destination took and could not be asked for."""
        self.unasked.add(rendering.uid)
        self.hindrance = error.reason
        self.is_declined |= error.is_declined


def _ended_unsent(item: DeliveryItem, record: StudyRecord) -> StudyRecord:
    """Return the record without an item that is brought no more, unless some of it was taken."""
    if not item.acknowledged:
        return without_delivery(record, item.id)
    warning = item.problem.detail if item.problem else item.warning
    news = {"problem": None, "warning": warning, "acknowledged": (), "unasked": ()}
    return with_delivery(record, item.id, state=DeliveryState.ACKNOWLEDGED, **news)


def _attempted(
    item: DeliveryItem,
    before: StudyRecord,
    news: Mapping[str, object],
    sending: _Sending,
    now: StudyRecord,
) -> StudyRecord:
    """Return the record after an attempt that began with it in another state."""
    sent = {"corrections": corrections_of(item, before, now)} if sending.uids else {}
    return with_delivery(now, item.id, **news, **sent)


async def _may_be_there(transport: Transport, rendering: Rendering, deadline: Deadline) -> bool:
    """Return True if what came to no answer is there after all; else it is sent once more."""
    half = Deadline.after(deadline.remaining_s() / 2)
    with suppress(DeliveryUnansweredError, DeliveryRefusedError, DeadlineExceededError):
        async with half.bounds("delivery"):
            return await transport.is_held(rendering, half) is True
    return False
