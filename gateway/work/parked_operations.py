"""What an operator may do with what was parked, whatever it is."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gateway.audit.trail import name_study
from gateway.errors import UnreadableDocumentError
from gateway.results.view import study_path
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.metadata import STUDY_ID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.pairing import Pairing
    from gateway.dropfolder.parked_images import ParkedImages
    from gateway.schemas.parked import ParkedItem
    from gateway.work.backlog import Backlog, Work
    from gateway.work.parked import Parking
    from gateway.work.worker import Worker

_STUDY_ID = re.compile(STUDY_ID_PATTERN)


class ParkedWork:
    """Tries parked items again, and discards them.

    Parameters
    ----------
    parking, parked_images, pairing, inbox
        The items, and those of the drop folder.
    workers
        Of the other kinds of work.
    """

    def __init__(
        self,
        parking: Parking,
        parked_images: ParkedImages,
        pairing: Pairing,
        inbox: Inbox,
        workers: Sequence[tuple[Backlog[Any], Worker[Any]]],
    ) -> None:
        self._parking = parking
        self._parked_images = parked_images
        self._pairing = pairing
        self._inbox = inbox
        self._workers = workers

    async def items(self, *, after: str, limit: int) -> list[ParkedItem]:
        """Items in the order of their ids, beyond `after`."""
        items = await self._parking.items(after=after, limit=limit)
        for item in items:
            self._name(item)
        return items

    async def retry(self, parked_id: str) -> Delivery:
        """What became of the item, or that it is pending again.

        Raises
        ------
        ParkedItemNotFoundError
            And what `Pairing.retry` raises.
        """
        found = self._find(await self._item(parked_id))
        if found is None:
            return await self._pairing.retry(parked_id)
        backlog, worker, work = found
        await backlog.revive(work)
        await self._parking.discard(parked_id)
        worker.take(work)
        return Delivery(
            outcome=Outcome.PENDING, detail="It is tried again.", study=study_path(work.study_id)
        )

    async def discard(self, parked_id: str) -> None:
        """Forget the item, and the images that were kept for it; files in a drop folder stay.

        Raises
        ------
        ParkedItemNotFoundError
        """
        with suppress(UnreadableDocumentError):  # it names no work; what is left of it can go
            found = self._find(await self._item(parked_id))
            await self._parked_images.forget(parked_id)
            if found is not None:
                backlog, _, work = found
                await backlog.finish(work)
        await self._parking.discard(parked_id)

    async def _item(self, parked_id: str) -> ParkedItem:
        item = await self._parking.item(parked_id)
        self._name(item)
        return item

    def _name(self, item: ParkedItem) -> None:
        """Tell the audit trail whose the item is, as far as its key says."""
        found = self._find(item)
        if found is not None:
            name_study(found[2].study_id)
            return
        dropped = self._inbox.find(item.key)
        study_id = item.study_id or (dropped and dropped.study_folder) or ""
        if _STUDY_ID.fullmatch(study_id):
            name_study(study_id)

    def _find(self, item: ParkedItem) -> tuple[Backlog[Any], Worker[Any], Work] | None:
        for backlog, worker in self._workers:
            work = backlog.named(item.key)
            if work is not None and item.half is None:
                return backlog, worker, work
        return None
