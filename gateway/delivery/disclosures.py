"""Records of what left the gateway: to which destination, what, and about which patient."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from gateway.audit.trail import GATEWAY, Act
from gateway.errors import AuditUnavailableError
from gateway.results.keys import withdrawn_study
from gateway.schemas.audit import AuditAction, AuditDisclosure, AuditOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.audit.trail import Audit
    from gateway.delivery.transport import Rendering
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import StudyRecord
    from gateway.schemas.result import RenderingKind
    from gateway.schemas.routing_destinations import Destination

_SEND, _WITHDRAW = "delivery: send", "delivery: withdraw"


class Disclosure:
    """One sending of a study's results.

    Parameters
    ----------
    audit
        The audit trail.
    study_id
        Of the study, or the name of its withdrawal.
    disclosed
        Form of the results, and who gets them; the objects are added.
    """

    def __init__(self, audit: Audit, study_id: str, disclosed: AuditDisclosure) -> None:
        self._audit = audit
        self._study_id = withdrawn_study(study_id) or study_id
        self._operation = _SEND if self._study_id == study_id else _WITHDRAW
        self._disclosed = disclosed

    async def succeeded(self, uids: Sequence[str]) -> None:
        """Put on record the objects that the destination acknowledged, if it did any."""
        if uids:
            await self._record(AuditOutcome.SUCCESS, *uids)

    async def refused(self, rendering: Rendering) -> None:
        """Put on record that the destination refused an object."""
        await self._record(AuditOutcome.REFUSED, rendering.uid)

    async def failed(self, rendering: Rendering) -> None:
        """Put on record that an object was sent, and not acknowledged."""
        await self._record(AuditOutcome.FAILED, rendering.uid)

    async def _record(self, outcome: AuditOutcome, *uids: str) -> None:
        disclosed = self._disclosed.model_copy(update={"objects": uids})
        act = Act(caller=GATEWAY, studies={self._study_id: None}, disclosed=disclosed)
        with contextlib.suppress(AuditUnavailableError):  # told by `record`
            await self._audit.record(act, self._operation, AuditAction.READ, outcome)


class Disclosures:
    """Maker of such records.

    Parameters
    ----------
    audit
        The audit trail.
    pseudonyms
        Stand for patients.
    """

    def __init__(self, audit: Audit, pseudonyms: Pseudonyms) -> None:
        self._audit = audit
        self._pseudonyms = pseudonyms

    def of(self, record: StudyRecord, destination: Destination, kind: RenderingKind) -> Disclosure:
        """Return the sending of a study's renderings of one kind to a destination."""
        patient_id = record.identity.get("patient_id")
        disclosed = AuditDisclosure(
            destination=destination.name,
            rendering=kind,
            objects=(),
            patient_ref=None if patient_id is None else self._pseudonyms.patient_ref(patient_id),
        )
        return Disclosure(self._audit, record.study_id, disclosed)
