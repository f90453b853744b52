"""Studies of `radstream probe`: removed soon, so that no number of probes makes the store grow."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.audit.trail import GATEWAY
from gateway.errors import UnreadableDocumentError
from gateway.schemas.audit import AuditAction

if TYPE_CHECKING:
    from gateway.audit.trail import Audit
    from gateway.results.catalog import StudyCatalog
    from gateway.results.deletion import Deletion

# What their ids begin with; docs/integrate.md reserves it.
PROBE_PREFIX = "radstream-probe-"
PROBES_KEPT_S = 900.0

_PAGE = 200


class ProbeStudies:
    """The removal of probes' studies, which leaves no tombstone: each has an id of its own.

    Parameters
    ----------
    studies, deletion
        The studies of the store, and their deletion.
    audit
        Takes a record of each deletion.
    kept_s
        Seconds after its last change for which a study is kept.
    """

    def __init__(
        self,
        studies: StudyCatalog,
        deletion: Deletion,
        audit: Audit,
        *,
        kept_s: float = PROBES_KEPT_S,
    ) -> None:
        self._studies = studies
        self._deletion = deletion
        self._audit = audit
        self._kept = dt.timedelta(seconds=kept_s)

    async def sweep(self) -> None:
        """Remove what is older. Any gateway may sweep, and several at once."""
        before = dt.datetime.now(dt.UTC) - self._kept
        after = PROBE_PREFIX
        while study_ids := await self._studies.ids(after=after, limit=_PAGE):
            for study_id in study_ids:
                if not study_id.startswith(PROBE_PREFIX):
                    return
                with suppress(UnreadableDocumentError):  # logged; its age is unknown
                    changed_at = await self._studies.changed_at(study_id)
                    if changed_at is not None and changed_at < before:
                        await self._forget(study_id)
            after = study_ids[-1]

    async def _forget(self, study_id: str) -> None:
        async with self._audit.of_work("probe: delete", GATEWAY, AuditAction.DELETE):
            await self._deletion.forget(study_id)
