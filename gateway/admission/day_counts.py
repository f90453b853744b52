"""Studies and bytes of a tenant's day (UTC), counted by all gateways together.

``work/quotas/{day}.json``
    Counts of the day.

A gateway knows at once what it takes itself, and adds it to the store's every few seconds, where it
finds what the others took. What it has not added when it dies is not counted.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING

import structlog
from pydantic import Field

from gateway.errors import RadStreamError, StoreUnavailableError, log_fields
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import read_or_renew, swap_document
from gateway.storage.layout import QUOTAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_DAY = dt.timedelta(days=1)
# The other gateways swap the counts in between, each once in a while.
_MOST_SWAPS = 10


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)


class DayCounts(StoredDocument):
    """Counts of a day, of all gateways."""

    studies: int = 0
    bytes: int = 0
    swap: str = Field("", description="Random: to a swap, equal bytes are its own.")


class TenantDay:
    """The tenant's day as far as this gateway knows it.

    Parameters
    ----------
    objects
        The store that all gateways share.
    clock
        Returns the time.
    """

    def __init__(self, objects: ObjectStore, clock: Callable[[], dt.datetime] = now) -> None:
        self._objects = objects
        self._clock = clock
        self._day = clock().date()
        self._stored = DayCounts()
        self._studies = 0  # of this gateway, that are not in the store yet
        self._bytes = 0

    @property
    def studies(self) -> int:
        """Studies of the day."""
        self._turn_over()
        return self._stored.studies + self._studies

    @property
    def bytes(self) -> int:
        """Bytes of the day."""
        self._turn_over()
        return self._stored.bytes + self._bytes

    def count(self, *, studies: int = 0, size: int = 0) -> None:
        """Count what the tenant sent, or take it off again."""
        self._turn_over()
        self._studies += studies
        self._bytes += size

    def left_s(self) -> float:
        """Return the seconds until the day is over."""
        time = self._clock()
        midnight = dt.datetime.combine(time.date() + _DAY, dt.time(), dt.UTC)
        return (midnight - time).total_seconds()

    async def add(self) -> None:
        """Add what is new to the store's counts, and look at them; what cannot be added is kept."""
        try:
            await self._add()
        except RadStreamError as error:
            log.warning("quota.not_counted", **log_fields(error))

    async def _add(self) -> None:
        for _ in range(_MOST_SWAPS):
            self._turn_over()
            key = self._key()
            stored, tag = await read_or_renew(self._objects, DayCounts, key)
            if key != self._key():  # the day ended meanwhile
                continue
            self._stored = counts = stored or DayCounts()
            studies, size = self._studies, self._bytes
            if not studies and not size:
                return
            counts = DayCounts(
                studies=counts.studies + studies,
                bytes=counts.bytes + size,
                swap=secrets.token_hex(8),
            )
            if await swap_document(self._objects, key, counts, tag) is None:
                continue
            if key == self._key():
                self._stored = counts
                self._studies -= studies
                self._bytes -= size
            if tag is None:
                await self._forget_others(key)
            return
        raise StoreUnavailableError("the counts of the day are always being changed")

    async def _forget_others(self, key: str) -> None:
        for other in await self._objects.keys(QUOTAS):
            if other < key:
                await self._objects.delete(other)

    def _key(self) -> str:
        return f"{QUOTAS}{self._day:%Y%m%d}.json"

    def _turn_over(self) -> None:
        """Begin a new day where the last one is over."""
        today = self._clock().date()
        if today != self._day:
            self._day, self._stored = today, DayCounts()
            self._studies = self._bytes = 0
