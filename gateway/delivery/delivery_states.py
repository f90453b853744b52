"""States of deliveries, in the documents of their studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import ParkedItemNotFoundError, StudyBeingDeletedError
from gateway.results.deliveries import (
    delivery_of,
    has_turn,
    is_on_its_way,
    next_for,
    with_delivery,
    without_delivery,
)
from gateway.results.keys import withdrawn_study, withdrawn_study_key
from gateway.schemas.result import DeliveryState
from gateway.work.states import Standing, WorkStates

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from gateway.results.documents import DeliveryItem, StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.schemas.parked import ParkedItem
    from gateway.storage.protocol import ObjectStore
    from gateway.work.documents import WorkDocument
    from gateway.work.keys import WorkId


class DeliveryStates(WorkStates):
    """States of deliveries in the documents of their studies.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    ended
        Told of the study whose item ended.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        ended: Callable[[StudyRecord], None],
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._ended = ended

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """See `WorkStates.standing`."""
        try:
            record = (await self._documents.read(work.study_id)).open_record()
        except StudyBeingDeletedError:
            return Standing.DELETED
        if record is None:
            is_begun = not tried and await self._is_to_be_told(work.study_id)
            return Standing.UNPROMISED if is_begun else Standing.DELETED
        item = delivery_of(record, work.id)
        if item is None:
            return Standing.DONE if tried else Standing.UNPROMISED
        return await self._of_item(record, item)

    async def _is_to_be_told(self, name: str) -> bool:
        """Return True of a withdrawal without a document of items: its entries come first."""
        if withdrawn_study(name) is None:
            return False
        return bool(await self._objects.keys(withdrawn_study_key(name)))

    async def _of_item(self, record: StudyRecord, item: DeliveryItem) -> Standing:
        if item.state is DeliveryState.PARKED:
            return Standing.FAILED
        if not is_on_its_way(item):
            return Standing.DONE
        if not has_turn(record, item) or await self._is_withdrawing(item):
            return Standing.QUEUED
        return Standing.PENDING

    async def _is_withdrawing(self, item: DeliveryItem) -> bool:
        """Return True if the destination is yet to be told that the study was deleted before."""
        for withdrawal in item.after:
            record = (await self._documents.read(withdrawal)).record
            if record is not None and next_for(record, item.destination) is not None:
                return True
        return False

    async def failed(self, work: WorkId, document: WorkDocument | None, item: ParkedItem) -> None:
        """See `WorkStates.failed`."""

        def change(record: StudyRecord) -> StudyRecord:
            before = delivery_of(record, work.id)
            if before is None or not is_on_its_way(before):
                return record
            return with_delivery(
                record,
                work.id,
                state=DeliveryState.PARKED,
                attempts=before.attempts if document is None else document.attempts,
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
            return with_delivery(
                record,
                work.id,
                state=DeliveryState.WAITING,
                warning=None,
                acknowledged=(),
                unasked=(),
                confirmed=(),
                unproven=0,
            )

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
