"""Tombstones of studies that came again after they were deleted."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from gateway.results.deletion import deletion_folder
from gateway.results.tombstone import Reason, Tombstone
from gateway.runtime.concurrency import together
from gateway.storage.documents import read_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.storage.protocol import ObjectStore

_KEY = re.compile(r".*/(\d{8}T\d{12}Z)\.json")


def last_deleted_at(keys: Iterable[str]) -> dt.datetime | None:
    """Return the time of a study's last deletion; None where it was never deleted.

    Parameters
    ----------
    keys
        Of its tombstones.
    """
    times = [found[1] for key in keys if (found := _KEY.fullmatch(key))]
    return dt.datetime.strptime(max(times), "%Y%m%dT%H%M%S%f%z") if times else None


class Tombstones:
    """Tombstones on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def requests(self, study_id: str) -> int:
        """Return the number of times that a study of this id was deleted on request."""
        keys = await self._objects.keys(deletion_folder(study_id))
        found = await together(read_or_none(self._objects, Tombstone, key) for key in keys)
        return sum(each is not None and each.reason is Reason.REQUEST for each in found)
