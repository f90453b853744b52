"""Sweeps of the drop folder: what was left is taken up, and what waited too long is parked."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    TRANSIENT,
    MissingHalfError,
    ObjectNotReadableError,
    QuotaExceededError,
    log_fields,
)
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.dropfolder.delivery import DropFolder
    from gateway.dropfolder.documents import WaitingHalf
    from gateway.errors import RadStreamError

log = structlog.get_logger()


class DropFolderSweep:
    """Looks after halves that wait.

    Parameters
    ----------
    folder
        The drop folder.
    waiting_deadline_s
        Seconds that a half may wait.
    count
        Told the time since which each half waits.
    """

    def __init__(
        self,
        folder: DropFolder,
        *,
        waiting_deadline_s: float,
        count: Callable[[Sequence[dt.datetime]], None],
    ) -> None:
        self._folder = folder
        self._waiting_deadline_s = waiting_deadline_s
        self._count = count

    async def sweep(self) -> None:
        """Take up halves whose other half is there now, and park those that waited too long.

        Any gateway may sweep, and several at once.
        """
        waiting = self._folder.records.waiting
        halves = await waiting.all()
        for half in halves:
            with _postponing():
                await self._look_after(half)
        left = await waiting.all() if halves else []
        self._count([half.since for half in left])

    async def _look_after(self, half: WaitingHalf) -> None:
        folder, version_id = self._folder, half.version_id
        dropped = folder.inbox.find(half.key)
        if dropped is None:  # waits since the drop folder had another prefix
            return
        if await folder.inbox.is_left_alone(dropped, version_id):  # now that it can be read
            await folder.records.waiting.remove((dropped, version_id))
            return
        missing = "sidecar" if dropped.half is Half.IMAGE else "image"
        error: RadStreamError = MissingHalfError(missing, int(self._waiting_deadline_s))
        take = folder.pairing.take_up if half.needs_other else folder.pairing.take
        try:
            taken = await take(dropped, version_id)
            if not taken and not half.needs_other:
                await folder.records.waiting.note_looked_at(dropped, version_id)
        except ObjectNotReadableError as closed:
            taken, error = [], closed
        waited = dt.datetime.now(dt.UTC) - half.since
        if not taken and waited.total_seconds() >= self._waiting_deadline_s:
            parked = await folder.lone_halves.park(dropped, version_id, error)
            folder.outcomes.tell(dropped.stem, [parked])
            with suppress(ObjectNotReadableError):
                taken = await folder.pairing.take(dropped, version_id)
        if taken:
            folder.outcomes.tell(dropped.stem, taken)


@contextmanager
def _postponing() -> Iterator[None]:
    """Leave for the next sweep what cannot be done now."""
    try:
        yield
    except (*TRANSIENT, QuotaExceededError) as error:
        log.warning("dropfolder.postponed", **log_fields(error))
