"""Parked objects of the drop folder, and all else that is kept of a study's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dropfolder.outcome import Taken
from gateway.errors import ObjectNotReadableError
from gateway.schemas.events import Outcome
from gateway.storage.layout import RESULTS

if TYPE_CHECKING:
    from gateway.dropfolder.delivery import DropFolder
    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.waiting import WaitingHalves
    from gateway.schemas.events import Delivery
    from gateway.schemas.parked import ParkedItem
    from gateway.work.parked import Parking


class ParkedObjects:
    """Parked objects of the drop folder, which owns every item that no other part does."""

    def __init__(self, folder: DropFolder) -> None:
        self._folder = folder

    def owns(self, item: ParkedItem) -> bool:
        """Return True."""
        del item
        return True

    def study_of(self, item: ParkedItem) -> str | None:
        """Return the study that the object was for, or is for by its folder."""
        dropped = self._folder.inbox.find(item.key)
        return item.study_id or (dropped.study_folder if dropped else None)

    async def retry(self, item: ParkedItem) -> Delivery:
        """Return the outcome of the object, which is tried again.

        Raises
        ------
        DeliveryUnfinishedError, InferenceUnavailableError, InferenceOverloadedError,
        OverloadedError, StoreUnavailableError
            It stays parked.
        """
        folder = self._folder
        dropped = folder.inbox.find(item.key)
        try:
            taken = await folder.pairing.take(dropped, item.version_id) if dropped else []
        except ObjectNotReadableError:
            taken = []
        if dropped is not None and taken and not any(one.parked for one in taken):
            await folder.records.clear_item(dropped)
        return folder.outcomes.tell(item.key, taken or [Taken(Outcome.PARKED, parked=item)])

    async def discard(self, item: ParkedItem) -> None:
        """Have the study's view tell no more of the object, which stays where it is."""
        await self._folder.records.discard(item)


class ParkedAndWaiting:
    """Parked items, of whatever work, and waiting halves that are kept of a study.

    Parameters
    ----------
    parking, waiting
        The documents.
    inbox
        Tells the study of an object by its key.
    """

    def __init__(self, parking: Parking, waiting: WaitingHalves, inbox: Inbox) -> None:
        self._parking = parking
        self._waiting = waiting
        self._inbox = inbox

    async def keys_of(self, study_id: str) -> list[str]:
        """Return the keys of all that is parked and all that waits of the study."""
        parked = [
            self._parking.key(item)
            for item in await self._parking.items(after="", limit=None)
            if (item.half is None and item.key.startswith(f"{RESULTS}{study_id}/"))
            or item.study_id == study_id
            or self._is_of(item.key, study_id)
        ]
        waiting = await self._waiting.by_key()
        return parked + [key for key, half in waiting if self._is_of(half.key, study_id)]

    def _is_of(self, key: str, study_id: str) -> bool:
        dropped = self._inbox.find(key)
        return dropped is not None and dropped.study_folder == study_id
