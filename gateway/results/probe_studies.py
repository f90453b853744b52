"""Studies of `radstream probe`: removed soon, so that no number of probes makes the store grow."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.audit.trail import GATEWAY
from gateway.results.retention import unchanged_for
from gateway.schemas.audit import AuditAction
from gateway.schemas.metadata import PROBE_PREFIX

if TYPE_CHECKING:
    from gateway.audit.trail import Audit
    from gateway.results.catalog import StudyCatalog
    from gateway.results.deletion import Deletion

PROBES_KEPT_S = 900.0


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
        async for study_id in unchanged_for(self._kept, self._studies, prefix=PROBE_PREFIX):
            async with self._audit.of_work("probe: delete", GATEWAY, AuditAction.DELETE):
                await self._deletion.forget(study_id)
