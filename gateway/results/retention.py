"""Retention: studies are deleted at the end of their retention period.

Not a lifecycle rule of S3: it knows the age of objects, not of studies, and leaves no record.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import GATEWAY
from gateway.errors import UnreadableDocumentError
from gateway.results.tombstone import Reason
from gateway.schemas.audit import AuditAction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.audit.trail import Audit
    from gateway.results.catalog import StudyCatalog
    from gateway.results.deletion import Deletion

log = structlog.get_logger()

_PAGE = 200
# A clock that is off by more than this has been set, and deletes nothing.
_CLOCK_STEP_S = 3600.0


class Retention:
    """The deletion of studies to which nothing has been added for so many days.

    Parameters
    ----------
    studies, deletion
        The studies of the store, and their deletion.
    audit
        Takes a record of each deletion, whatever becomes of the sweep after that.
    days
        Days that a study is kept after its last change.
    """

    def __init__(
        self, studies: StudyCatalog, deletion: Deletion, audit: Audit, *, days: int
    ) -> None:
        self._studies = studies
        self._deletion = deletion
        self._audit = audit
        self._kept = dt.timedelta(days=days)
        self._clock_offset_s = _clock_offset_s()

    async def sweep(self) -> None:
        """Delete what is older. Any gateway may sweep, and several at once."""
        if abs(_clock_offset_s() - self._clock_offset_s) > _CLOCK_STEP_S:
            log.error("retention.clock_was_set")  # until a restart, with the clock looked at
            return
        async for study_id in unchanged_for(self._kept, self._studies):
            async with self._audit.of_work("retention: delete", GATEWAY, AuditAction.DELETE):
                await self._deletion.delete(study_id, Reason.RETENTION)


async def unchanged_for(
    age: dt.timedelta, studies: StudyCatalog, *, prefix: str = ""
) -> AsyncIterator[str]:
    """Yield the ids of studies of which nothing waits, and nothing has changed for so long.

    Parameters
    ----------
    prefix
        Beginning of the ids.
    """
    before, after = dt.datetime.now(dt.UTC) - age, prefix
    while study_ids := await studies.ids(after=after, limit=_PAGE):
        for study_id in study_ids:
            if not study_id.startswith(prefix):
                return
            with suppress(UnreadableDocumentError):  # logged; its age is unknown
                changed_at = await studies.changed_at(study_id)
                if changed_at is not None and changed_at < before:
                    yield study_id
        after = study_ids[-1]


def _clock_offset_s() -> float:
    """Return the clock's offset, which is constant until the clock is set."""
    return time.time() - time.monotonic()
