"""Operations of an operator on parked items, whatever they are of."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gateway.audit.trail import name_study
from gateway.errors import ParkedItemNotFoundError, UnreadableDocumentError
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.metadata import is_study_id
from gateway.schemas.result import study_path
from gateway.work.documents import WorkDocument
from gateway.work.keys import of_parked, to_the_second

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.schemas.parked import ParkedItem
    from gateway.work.entries import Entries
    from gateway.work.keys import WorkId
    from gateway.work.parked import Parking
    from gateway.work.states import WorkStates
    from gateway.work.worker import Worker

T = TypeVar("T", bound=WorkDocument)


class ParkedOwner(Protocol):
    """A part of the gateway whose work is parked where it fails for good."""

    def owns(self, item: ParkedItem) -> bool:
        """Return True if the item is of this part's work."""
        ...

    def study_of(self, item: ParkedItem) -> str | None:
        """Return the study_id that the item tells of, if it tells of one."""
        ...

    async def retry(self, item: ParkedItem) -> Delivery:
        """Return what became of the item, or that it is pending again."""
        ...

    async def discard(self, item: ParkedItem) -> None:
        """Remove what was kept for the item."""
        ...


class ParkedWork(Generic[T]):
    """Parked work of one kind.

    Parameters
    ----------
    entries, states, worker
        See `Worker`, which this one is.
    """

    def __init__(
        self, parking: Parking, entries: Entries[T], states: WorkStates, worker: Worker[T]
    ) -> None:
        self._parking = parking
        self._entries = entries
        self._states = states
        self._worker = worker

    def owns(self, item: ParkedItem) -> bool:
        """Return True if the item's key is one of this kind of work."""
        return item.half is None and of_parked(self._entries.kind, item.key) is not None

    def study_of(self, item: ParkedItem) -> str | None:
        """Return the study that the work is of."""
        return self._work(item).study_id

    async def retry(self, item: ParkedItem) -> Delivery:
        """Return that the work is pending again.

        Raises
        ------
        ParkedItemNotFoundError
            The work has not failed, or not yet.
        """
        work = self._work(item)
        document = await self._entries.job(work)
        if document is None:
            raise ParkedItemNotFoundError
        # The next second: who parked it may be about to remove the entry of this one.
        due = to_the_second(dt.datetime.now(dt.UTC)) + dt.timedelta(seconds=1)
        await self._entries.revive(work, document, due)
        await self._states.revived(work, due)
        await self._parking.discard(item.id)
        self._worker.take(work, due)
        return Delivery(
            outcome=Outcome.PENDING, detail="It is tried again.", study=study_path(work.study_id)
        )

    async def discard(self, item: ParkedItem) -> None:
        """Remove the work that failed, and the images that were kept for it."""
        work = self._work(item)
        if await self._states.discarded(work):
            await self._entries.forget_failed(work)

    def _work(self, item: ParkedItem) -> WorkId:
        work = of_parked(self._entries.kind, item.key)
        if work is None:
            raise ValueError(item.id)
        return work


class ParkedOperations:
    """The listing of parked items, and their retry and discard.

    Parameters
    ----------
    parking
        The items.
    owners
        Of the items: the first that owns one answers for it, and the last owns every one.
    """

    def __init__(self, parking: Parking, owners: Sequence[ParkedOwner]) -> None:
        self._parking = parking
        self._owners = owners

    async def items(
        self, *, after: str, limit: int, wanted: Callable[[ParkedItem], bool] | None = None
    ) -> list[ParkedItem]:
        """Return items in the order of their ids, beyond `after`.

        Parameters
        ----------
        wanted
            Says of each whether it is to be among them; all are, if None.
        """
        items: list[ParkedItem] = []
        while len(items) < limit:
            page = await self._parking.items(after=after, limit=limit)
            items += page if wanted is None else filter(wanted, page)
            if len(page) < limit:
                break
            after = page[-1].id
        for item in items[:limit]:
            self._name(item)
        return items[:limit]

    async def retry(self, parked_id: str) -> Delivery:
        """Return what became of the item, or that it is pending again.

        Raises
        ------
        ParkedItemNotFoundError
            And what its owner raises.
        """
        item = await self._item(parked_id)
        return await self._owner(item).retry(item)

    async def discard(self, parked_id: str) -> None:
        """Forget the item, and the images that were kept for it; files in a drop folder stay.

        Raises
        ------
        ParkedItemNotFoundError
        """
        with suppress(UnreadableDocumentError):  # it names no work; what is left of it can go
            item = await self._item(parked_id)
            await self._owner(item).discard(item)
        await self._parking.discard(parked_id)

    async def _item(self, parked_id: str) -> ParkedItem:
        item = await self._parking.item(parked_id)
        self._name(item)
        return item

    def _name(self, item: ParkedItem) -> None:
        """Name the item's study to the audit trail, as far as it is known."""
        study_id = self._owner(item).study_of(item)
        if is_study_id(study_id):
            name_study(study_id)

    def _owner(self, item: ParkedItem) -> ParkedOwner:
        return next(owner for owner in self._owners if owner.owns(item))
