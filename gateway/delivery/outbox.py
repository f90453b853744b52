"""The outbox: a durable item for each rendering of a complete study and each destination of it.

The entries are written first, then one swap lists their items in the study's document and marks its
completion as delivered. Whatever dies between finds the completion's own entry there, which stands
until that swap is made, and does it again: the items of one completion have the same ids.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from gateway.errors import (
    Fault,
    InvalidQueryError,
    RadStreamError,
    StudyNotFoundError,
    log_fields,
)
from gateway.results.deliveries import next_for, with_deliveries
from gateway.results.documents import DeliveryItem
from gateway.runtime.concurrency import together
from gateway.schemas.result import RenderingKind
from gateway.work.documents import PendingDelivery
from gateway.work.keys import WorkId, to_the_second

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from gateway.results.documents import StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.schemas.routing_destinations import Destination
    from gateway.work.entries import Entries

log = structlog.get_logger()


class Lines(Protocol):
    """Ways to all destinations."""

    def entries(self, destination: str) -> Entries[PendingDelivery]:
        """Return the entries of what is brought to a destination."""
        ...

    def take(self, destination: str, work: WorkId, due: dt.datetime) -> None:
        """Begin to bring it as soon as there is a turn for it."""
        ...


class Chosen(Protocol):
    """Destinations of studies; see `ChosenDestinations`."""

    @property
    def are_any(self) -> bool:
        """Return True if there are destinations."""
        ...

    async def of(self, record: StudyRecord) -> Sequence[Destination]:
        """Return the destinations of a study."""
        ...

    def named(self, name: str) -> Sequence[Destination]:
        """Return the destination of this name alone; nothing where there is none."""
        ...


class Earlier(Protocol):
    """Withdrawals of studies that came again after their deletion; see `Withdrawals`."""

    async def open_of(self, study_id: str) -> Sequence[str]:
        """Return the names of those that are not over."""
        ...


class Outbox:
    """Deliveries of complete studies, promised by any gateway.

    Parameters
    ----------
    documents
        The studies.
    chosen
        Tells the destinations of each.
    lines
        The ways to them.
    withdrawals
        Come before what a study brings that came again.
    kinds
        Renderings that can be made.
    """

    def __init__(
        self,
        documents: StudyDocuments,
        chosen: Chosen,
        lines: Lines,
        *,
        withdrawals: Earlier,
        kinds: Collection[RenderingKind],
    ) -> None:
        self._documents = documents
        self._chosen = chosen
        self._lines = lines
        self._withdrawals = withdrawals
        self._kinds = frozenset(kinds)
        self._noted: asyncio.Queue[str] = asyncio.Queue()

    def note(self, study_id: str) -> None:
        """Promise what the study brings, soon; where that fails, its entry tells again."""
        if self._chosen.are_any:
            self._noted.put_nowait(study_id)

    async def run(self) -> NoReturn:
        """Promise what is noted, for ever."""
        while True:
            study_id = await self._noted.get()
            try:
                seen = await self._documents.read(study_id)
                if seen.record is not None:
                    await self.promise(seen.record)
            except RadStreamError as error:
                log.warning("delivery.not_promised", **log_fields(error))

    async def promise(self, record: StudyRecord) -> None:
        """Promise what a complete study brings to the destinations of now, once.

        What is held back is not promised.
        """
        completion = record.completion
        if completion is None or completion.completed_at is None:
            return
        if completion.delivered or completion.held:
            return
        destinations = await self._chosen.of(record) if self._chosen.are_any else ()
        items = [*self._items(record, destinations, completion.work, completion.completed_at)]
        if not items:
            return
        items = await self._after_withdrawals(record.study_id, items)

        def change(record: StudyRecord) -> StudyRecord:
            now = record.completion
            if now is None or now.work != completion.work or now.delivered or now.held:
                return record  # it was opened again, or another gateway was faster
            listed = with_deliveries(record, items)
            return listed.changed(completion=now.model_copy(update={"delivered": True}))

        await self._promise(record.study_id, items, change)

    async def resend(
        self, study_id: str, *, destination: str | None = None, rendering: str | None = None
    ) -> tuple[DeliveryItem, ...]:
        """Promise to bring a study to destinations once more; return the new items.

        Parameters
        ----------
        destination, rendering
            The only ones; without, those of the study, and all.

        Raises
        ------
        StudyNotFoundError
        InvalidQueryError
            There is no such destination.
        """
        record = (await self._documents.read(study_id)).record
        if record is None or not record.images:
            raise StudyNotFoundError
        if destination is None:
            destinations = await self._chosen.of(record)
        else:
            destinations = self._chosen.named(destination)
            if not destinations:
                detail = "is not among the destinations of the routing document"
                raise InvalidQueryError((Fault("query/destination", detail),))
        revision = "" if record.completion is None else record.completion.work
        now = dt.datetime.now(dt.UTC)
        items = [
            item
            for item in self._items(record, destinations, revision, now, again=True)
            if rendering in {None, item.rendering}
        ]
        items = await self._after_withdrawals(study_id, items)

        def change(record: StudyRecord) -> StudyRecord:
            return with_deliveries(record, items)

        if items:
            await self._promise(study_id, items, change)
        return tuple(items)

    async def _after_withdrawals(
        self, study_id: str, items: list[DeliveryItem]
    ) -> list[DeliveryItem]:
        """Return the items, which wait until the study's former life is withdrawn."""
        after = tuple(await self._withdrawals.open_of(study_id))
        return [item.model_copy(update={"after": after}) for item in items] if after else items

    async def _promise(
        self,
        study_id: str,
        items: list[DeliveryItem],
        change: Callable[[StudyRecord], StudyRecord],
    ) -> None:
        await together(
            self._lines.entries(item.destination).add(
                WorkId(study_id, item.id),
                PendingDelivery(rendering=item.rendering, revision=item.revision),
            )
            for item in items
        )
        record = await self._documents.change_known(study_id, change)
        for destination in dict.fromkeys(item.destination for item in items):
            first = next_for(record, destination)
            if first is not None:
                work = WorkId(study_id, first.id)
                self._lines.take(destination, work, to_the_second(work.received_at))

    def _items(
        self,
        record: StudyRecord,
        destinations: Sequence[Destination],
        revision: str,
        at: dt.datetime,
        *,
        again: bool = False,
    ) -> Iterator[DeliveryItem]:
        """Yield the items of a study in this state; of the same time they have the same ids."""
        for destination in destinations:
            for kind in destination.renderings:
                # There is nothing to reject but of a patient who turned out to be wrong.
                is_idle = kind is RenderingKind.REJECTION_NOTE and not record.former
                if kind in self._kinds and not is_idle:
                    yield DeliveryItem(
                        id=WorkId.derived(
                            record.study_id, at, destination.name, kind, "again" if again else ""
                        ).id,
                        destination=destination.name,
                        rendering=kind,
                        revision=revision,
                        at=at,
                    )
