"""Requests for storage commitment, from their N-ACTION to the peer's answer to the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import Act, begin
from gateway.dimse.commitment_messages import ActionStatus
from gateway.errors import AuditUnavailableError
from gateway.schemas.audit import AuditAction, AuditOutcome

if TYPE_CHECKING:
    from gateway.audit.trail import Audit
    from gateway.dimse.commitment import StorageCommitment
    from gateway.dimse.commitment_messages import CommitmentReport, CommitmentRequest
    from gateway.dimse.instances import Peer
    from gateway.observability.metrics.dimse import DimseMetrics

log = structlog.get_logger()

_SUCCESS = 0x0000
_ACTION, _EVENT_REPORT = "N-ACTION", "N-EVENT-REPORT"


class CommitmentRequests:
    """The intake of requests for commitment, and the reports on them.

    Parameters
    ----------
    commitment
        Says which instances are committed.
    audit
        The audit trail.
    metrics
        Told of reports.
    """

    def __init__(self, commitment: StorageCommitment, audit: Audit, metrics: DimseMetrics) -> None:
        self._commitment = commitment
        self._audit = audit
        self._metrics = metrics

    async def accept(self, peer: Peer, request: CommitmentRequest) -> ActionStatus:
        """Return the status of the answer to a request."""
        log.info("commitment.requested", instances=len(request.references))
        act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
        try:
            await self._audit.record(act, _ACTION, AuditAction.EXECUTE, AuditOutcome.SUCCESS)
        except AuditUnavailableError:  # told by `record`
            return ActionStatus.PROCESSING_FAILURE
        return ActionStatus.SUCCESS

    async def report(self, peer: Peer, request: CommitmentRequest) -> CommitmentReport:
        """Return the report on a request, which is on record.

        Raises
        ------
        StoreUnavailableError, AuditUnavailableError
        """
        act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
        begin(act)
        report = await self._commitment.report(request)
        outcome = AuditOutcome.PARTIAL if report.failed else AuditOutcome.SUCCESS
        await self._audit.record(act, _EVENT_REPORT, AuditAction.READ, outcome)
        return report

    def take_answer(self, status: int) -> None:
        """Take the peer's answer to a report, in whatever thread."""
        outcome = "taken" if status == _SUCCESS else "refused"
        self._metrics.commitment_reports.labels(outcome).inc()
        log.info("commitment.reported", status=f"{status:04X}")
