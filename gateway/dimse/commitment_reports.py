"""Reports on storage commitment: made, sent by one at a time, and counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import begin
from gateway.schemas.audit import AuditAction, AuditOutcome

if TYPE_CHECKING:
    from gateway.audit.trail import Act, Audit
    from gateway.dimse.commitment import StorageCommitment
    from gateway.dimse.commitment_messages import CommitmentReport, CommitmentRequest
    from gateway.observability.metrics.dimse import DimseMetrics
    from gateway.work.keys import WorkId

log = structlog.get_logger()

_SUCCESS = 0x0000
_OPERATION = "N-EVENT-REPORT"


class CommitmentReports:
    """Reports of this gateway.

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
        self._lock = threading.Lock()
        self._sent: set[WorkId] = set()

    async def make(self, act: Act, request: CommitmentRequest) -> CommitmentReport:
        """Return the report on a request, which is on record.

        Raises
        ------
        StoreUnavailableError, AuditUnavailableError
        """
        begin(act)
        report = await self._commitment.report(request)
        outcome = AuditOutcome.PARTIAL if report.failed else AuditOutcome.SUCCESS
        await self._audit.record(act, _OPERATION, AuditAction.READ, outcome)
        return report

    def begin(self, work: WorkId) -> bool:
        """Return False where a report is being sent already, on another association."""
        with self._lock:
            if work in self._sent:
                return False
            self._sent.add(work)
            return True

    def end(self, work: WorkId) -> None:
        """Let the report be sent again, if it has to be."""
        with self._lock:
            self._sent.discard(work)

    def count(self, status: int | None) -> None:
        """Count the answer to a report; None where there will be none."""
        outcome = "given_up" if status is None else "taken" if status == _SUCCESS else "refused"
        self._metrics.commitment_reports.labels(outcome).inc()
        log.info("commitment.reported", outcome=outcome)
