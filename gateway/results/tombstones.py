"""Tombstones of studies that came again after they were deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.deletion import deletion_folder
from gateway.results.tombstone import Reason, Tombstone
from gateway.runtime.concurrency import together
from gateway.storage.documents import read_or_none

if TYPE_CHECKING:
    from gateway.storage.protocol import ObjectStore


class Tombstones:
    """Tombstones on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def requests(self, study_id: str) -> int:
        """Return the number of times that a study of this id was deleted on request."""
        keys = await self._objects.keys(deletion_folder(study_id))
        found = await together(read_or_none(self._objects, Tombstone, key) for key in keys)
        return sum(each is not None and each.reason is Reason.REQUEST for each in found)
