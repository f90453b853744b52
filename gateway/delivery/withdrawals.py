"""Withdrawals: what destinations have of a study is withdrawn from them once it is deleted.

What each got is listed in the study's document, which the deletion takes away. Therefore a
`WithdrawnStudy` is written before the swap that closes the study, of just the record that this swap
replaces, under ``work/withdrawals/!{study_id}!{time}/study.json``; the closing names it. Before
anything of the study is removed, a document of its own beside it lists the items, one for each
rendering and destination, and entries are written as for any delivery. Whatever dies between finds
the closing, and goes on. Both go once no item is on its way or parked, the `WithdrawnStudy` first:
with the document of its items alone a withdrawal is over, and none of its entries counts.

Retention is no cause to withdraw: the results hold, and the archives keep them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import structlog

from gateway.errors import RadStreamError, StudyBeingDeletedError, log_fields
from gateway.renderings.rejections import capture_references
from gateway.renderings.source_header import header_of
from gateway.results.deliveries import is_on_its_way, next_for, with_deliveries
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.results.keys import (
    document_key,
    image_key,
    study_folder,
    withdrawal_id,
    withdrawals_of,
    withdrawn_study,
    withdrawn_study_key,
)
from gateway.results.tombstone import Reason
from gateway.results.withdrawn_study import WithdrawnStudy
from gateway.runtime.concurrency import together
from gateway.schemas.result import DeliveryState, RenderingKind
from gateway.storage.documents import read_or_none, replace_document
from gateway.storage.layout import WITHDRAWALS
from gateway.work.documents import PendingDelivery
from gateway.work.keys import WorkId, to_the_second
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.delivery.outbox import Lines
    from gateway.results.documents import Reading
    from gateway.results.store import ResultStore
    from gateway.results.study_documents import StudyDocuments
    from gateway.results.tombstone import Closing
    from gateway.results.tombstones import Tombstones
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

# The header of an image stands before its pixels, most often within this; a deflated one is
# readable as a whole alone.
_BEGINNING_BYTES = 64 << 10
_PAGE = 1000
# Whoever has been deleting a study for so long has died over it.
_ABANDONED = dt.timedelta(hours=1)
_ENDED = frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.CONFIRMED})
_REJECTED = frozenset({RenderingKind.STRUCTURED_REPORT, RenderingKind.SECONDARY_CAPTURE})


class Withdrawals:
    """Withdrawals of all gateways on one store.

    Parameters
    ----------
    objects, documents, results
        The store, and the studies on it.
    tombstones
        Tell of earlier deletions.
    lines
        The ways to destinations.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        results: ResultStore,
        *,
        tombstones: Tombstones,
        lines: Lines,
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._results = results
        self._tombstones = tombstones
        self._lines = lines

    async def prepare(self, closing: Closing, record: StudyRecord) -> str | None:
        """Write what is to be withdrawn of a study; return its name, or None if nothing is."""
        if closing.reason is not Reason.REQUEST or not any(_told(record)):
            return None
        readings = [*await self._results.earlier(record), *record.readings]
        deletions = await self._tombstones.requests(record.study_id)
        slim = record.model_copy(
            update={
                "readings": tuple(map(_without_maps, readings)),
                "pages": (),
                "page_lists": (),
                "rest": None,
                "deliveries": tuple(_told(record)),
            }
        )
        header = await self._header(readings)
        if header is None and any(item.rendering in _REJECTED for item in slim.deliveries):
            log.warning("withdrawal.no_header")  # its items are parked, which an operator sees
        withdrawn = WithdrawnStudy(
            requested_at=closing.requested_at,
            deletions=deletions,
            record=slim,
            header=header,
            captures=tuple(capture_references(readings, len(record.former), deletions)),
        )
        name = withdrawal_id(closing.study_id, closing.requested_at)
        await replace_document(self._objects, withdrawn_study_key(name), withdrawn)
        return name

    async def promise(self, name: str) -> None:
        """Promise a withdrawal of a study that is closed, unless that was done."""
        withdrawn = await self.study(name)
        if withdrawn is None:  # all destinations have taken it
            return
        record = (await self._documents.read(name)).record
        if record is None:
            record = await self._begin(name, withdrawn)
        # Another gateway drops entries that no document names for long: writing it took so long.
        await self._add_entries(name, list(filter(is_on_its_way, record.deliveries)))
        for destination in dict.fromkeys(item.destination for item in record.deliveries):
            first = next_for(record, destination)
            if first is not None:
                work = WorkId(name, first.id)
                self._lines.take(destination, work, to_the_second(work.received_at))

    async def _begin(self, name: str, withdrawn: WithdrawnStudy) -> StudyRecord:
        """Write the entries of all items, and the document that names them."""
        items = list(_items(name, withdrawn))
        await self._add_entries(name, items)

        def change(record: StudyRecord | None) -> StudyRecord:
            if record is not None:
                return record
            begun = StudyRecord.begun(name).changed(identity=withdrawn.record.identity)
            return with_deliveries(begun, items)

        return await self._documents.change(name, change)

    async def _add_entries(self, name: str, items: Sequence[DeliveryItem]) -> None:
        """Write the entries of items that have none, at whatever time theirs are due."""
        for destination in dict.fromkeys(item.destination for item in items):
            entries = self._lines.entries(destination)
            listed = {work for work, _ in await entries.due()}
            await together(
                entries.add(
                    WorkId(name, item.id), PendingDelivery(rendering=item.rendering, revision="")
                )
                for item in items
                if item.destination == destination and WorkId(name, item.id) not in listed
            )

    async def drop(self, closing: Closing) -> None:
        """Remove what was prepared for a deletion whose gateway died before it closed the study."""
        await self._purge(withdrawal_id(closing.study_id, closing.requested_at))

    async def sweep(self) -> None:
        """Remove the withdrawals that all destinations have taken."""
        after = ""
        while names := await self._objects.folders(WITHDRAWALS, after=after, limit=_PAGE):
            for name in names:
                try:
                    if await self._is_over(name):
                        await self._purge(name)
                except RadStreamError as error:
                    log.warning("withdrawal.unreadable", **log_fields(error))
            after = names[-1]

    async def _is_over(self, name: str) -> bool:
        if not await self._objects.keys(withdrawn_study_key(name)):
            # Its removal was broken off, or it is being written.
            return bool(await self._objects.keys(document_key(name)))
        record = (await self._documents.read(name)).record
        if record is None:
            return await self._is_left(name)
        return not any(map(_is_open, record.deliveries))

    async def _is_left(self, name: str) -> bool:
        """Return True if no deletion is to promise it any more: its gateway died, or was slower."""
        withdrawn = await self.study(name)
        if withdrawn is None:
            return False
        seen = await self._documents.read(withdrawn_study(name) or name)
        if seen.closing is not None and seen.closing.withdrawal == name:
            return False
        return dt.datetime.now(dt.UTC) - withdrawn.requested_at > _ABANDONED

    async def study(self, name: str) -> WithdrawnStudy | None:
        """Return the study that is withdrawn; None once that is over.

        Raises
        ------
        UnreadableDocumentError
        """
        return await read_or_none(self._objects, WithdrawnStudy, withdrawn_study_key(name))

    async def open_of(self, study_id: str) -> list[str]:
        """Return the names of a study's withdrawals that are not over."""
        keys = await self._objects.keys(withdrawals_of(study_id))
        names = (key.removeprefix(WITHDRAWALS).partition("/")[0] for key in keys)
        return list(dict.fromkeys(names))

    async def is_overtaken(self, study_id: str, destination: str, kind: RenderingKind) -> bool:
        """Return True if the study came again, and the destination has results of it since."""
        try:
            record = (await self._documents.read(study_id)).open_record()
        except StudyBeingDeletedError:
            return False
        items = () if record is None else record.deliveries
        return any(
            item.objects and (item.destination, item.rendering) == (destination, kind)
            for item in items
        )

    async def _header(self, readings: Sequence[Reading]) -> dict[str, object] | None:
        """Return the header of the newest image that has a readable one."""
        for reading in reversed(readings):
            if reading.media_type == MediaType.DICOM:
                key = image_key(reading)
                try:
                    beginning = await self._objects.beginning(key, _BEGINNING_BYTES)
                    header = await asyncio.to_thread(header_of, beginning)
                    if header is None and len(beginning) == _BEGINNING_BYTES:
                        header = await asyncio.to_thread(header_of, await self._objects.read(key))
                except RadStreamError as error:
                    log.warning("withdrawal.image_unreadable", **log_fields(error))
                    continue
                if header is not None:
                    return header.to_json_dict()
        return None

    async def _purge(self, name: str) -> None:
        # In this order: with the document gone before it, it would be promised once more.
        await self._objects.purge(withdrawn_study_key(name))
        await self._objects.purge(study_folder(name))


def _told(record: StudyRecord) -> Iterator[DeliveryItem]:
    """Yield the items of which a destination may have something; those of no answer as sent."""
    for item in record.deliveries:
        if item.objects and item.state in _ENDED:
            yield item
        elif item.objects:
            yield item.model_copy(update={"state": DeliveryState.SENT})


def _is_open(item: DeliveryItem) -> bool:
    return is_on_its_way(item) or item.state is DeliveryState.PARKED


def _items(name: str, withdrawn: WithdrawnStudy) -> Iterator[DeliveryItem]:
    """Yield the items of a withdrawal, always with the same ids."""
    kinds: dict[tuple[str, RenderingKind], None] = {}
    for item in withdrawn.record.deliveries:
        if item.rendering is not RenderingKind.REJECTION_NOTE:
            kinds[item.destination, item.rendering] = None
    for destination in [name for name, kind in kinds if kind in _REJECTED]:
        kinds[destination, RenderingKind.REJECTION_NOTE] = None  # after the reports
    for destination, kind in kinds:
        if kind is not RenderingKind.SECONDARY_CAPTURE:
            yield DeliveryItem(
                id=WorkId.derived(name, withdrawn.requested_at, destination, kind).id,
                destination=destination,
                rendering=kind,
                revision="",
                at=withdrawn.requested_at,
            )


def _without_maps(reading: Reading) -> Reading:
    frames = (frame.model_copy(update={"activation_map": None}) for frame in reading.frames)
    return reading.model_copy(update={"frames": tuple(frames)})
