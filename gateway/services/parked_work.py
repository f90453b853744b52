"""What an operator may do with what was parked, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.schemas.events import Delivery, Outcome
from gateway.services.audit import name_study
from gateway.services.views import study_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.schemas.parked import ParkedItem
    from gateway.services.backlog import Backlog, Work
    from gateway.services.pairing import Pairing
    from gateway.services.parking import Parking
    from gateway.services.worker import Worker


class ParkedWork:
    """Tries parked items again, and discards them.

    Parameters
    ----------
    parking, pairing
        The items, and those of the drop folder.
    workers
        Of the other kinds of work.
    """

    def __init__(
        self,
        parking: Parking,
        pairing: Pairing,
        workers: Sequence[tuple[Backlog[Any], Worker[Any]]],
    ) -> None:
        self._parking = parking
        self._pairing = pairing
        self._workers = workers

    async def retry(self, parked_id: str) -> Delivery:
        """What became of the item, or that it is pending again.

        Raises
        ------
        ParkedItemNotFoundError
            And what `Pairing.retry` raises.
        """
        found = self._find(await self._parking.item(parked_id))
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
        found = self._find(await self._parking.item(parked_id))
        if found is not None:
            backlog, _, work = found
            await backlog.finish(work)
        await self._parking.discard(parked_id)

    def _find(self, item: ParkedItem) -> tuple[Backlog[Any], Worker[Any], Work] | None:
        for backlog, worker in self._workers:
            work = backlog.named(item.key)
            if work is not None and item.half is None:
                name_study(work.study_id)
                return backlog, worker, work
        return None
