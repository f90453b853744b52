"""Requests for storage commitment, from their N-ACTION to the sender's answer to the report.

A report goes over the association of its request where that stays open, else over one of its own.
The first needs nothing but that association. The second is owed to a sender whose entry in the
routing document has a port: it has an entry among the work from before the N-ACTION is answered, so
that it is sent whatever dies; perhaps twice, which a sender tells by the Transaction UID.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import Act
from gateway.dimse.association_reports import DueReport
from gateway.dimse.commitment_messages import ActionStatus
from gateway.dimse.commitment_work import OwedReport
from gateway.errors import AuditUnavailableError, RadStreamError, StoreError, log_fields
from gateway.schemas.audit import AuditAction, AuditOutcome
from gateway.work.keys import WorkId, to_the_second

if TYPE_CHECKING:
    from concurrent.futures import Future

    from gateway.audit.trail import Audit
    from gateway.dimse.commitment_messages import CommitmentReport, CommitmentRequest
    from gateway.dimse.commitment_reports import CommitmentReports
    from gateway.dimse.instances import Peer
    from gateway.work.entries import Entries
    from gateway.work.worker import Worker

log = structlog.get_logger()

_OPERATION = "N-ACTION"
# Who keeps an association open for longer, and at something, gets the report on another.
_ON_ASSOCIATION_FOR = dt.timedelta(seconds=10)


class CommitmentRequests:
    """The intake of requests for commitment, on the event loop that this is made on.

    Parameters
    ----------
    reports
        Makes the reports.
    entries, worker
        Keep those that are owed, and send them.
    audit
        The audit trail.
    """

    def __init__(
        self,
        reports: CommitmentReports,
        entries: Entries[OwedReport],
        worker: Worker[OwedReport],
        audit: Audit,
    ) -> None:
        self._reports = reports
        self._entries = entries
        self._worker = worker
        self._audit = audit
        self._loop = asyncio.get_running_loop()
        self._owed: dict[WorkId, dt.datetime] = {}

    async def accept(
        self, peer: Peer, request: CommitmentRequest
    ) -> tuple[ActionStatus, WorkId | None]:
        """Return the status of the answer to a request, and the id of the report on it."""
        now = dt.datetime.now(dt.UTC)
        work = WorkId.new(request.transaction_uid, now)
        act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
        try:
            await self._audit.record(act, _OPERATION, AuditAction.EXECUTE, AuditOutcome.SUCCESS)
            if peer.takes_reports:
                await self._owe(work, peer, request, now + _ON_ASSOCIATION_FOR)
        except AuditUnavailableError:  # told by `record`
            return ActionStatus.PROCESSING_FAILURE, None
        except RadStreamError as error:
            log.warning("commitment.not_accepted", **log_fields(error))
            return ActionStatus.PROCESSING_FAILURE, None
        log.info("commitment.requested", instances=len(request.references))
        return ActionStatus.SUCCESS, work

    async def report(self, peer: Peer, request: CommitmentRequest) -> CommitmentReport:
        """Return the report on a request; see `CommitmentReports.make`."""
        act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
        return await self._reports.make(act, request)

    def due(self, work: WorkId, report: Future[CommitmentReport]) -> DueReport:
        """Return a report that is due on the association of its request."""
        begin, end = partial(self._reports.begin, work), partial(self._answer, work)
        return DueReport(report, begin, end)

    async def _owe(
        self, work: WorkId, peer: Peer, request: CommitmentRequest, due: dt.datetime
    ) -> None:
        document = OwedReport(
            sender="" if peer.sender is None else peer.sender.name,
            address=peer.address,
            request_id=peer.request_id,
            transaction_uid=request.transaction_uid,
            references=request.references,
        )
        await self._entries.add(work, document, due=due)
        self._owed[work] = to_the_second(due)

    # --- in an association's thread --------------------------------------------------------------

    def _answer(self, work: WorkId, status: int | None) -> None:
        """Take the peer's answer to a report; None where its association ended before."""
        with suppress(RuntimeError):  # the loop is closed
            asyncio.run_coroutine_threadsafe(self._end(work, status), self._loop)

    # --- on the event loop -----------------------------------------------------------------------

    async def _end(self, work: WorkId, status: int | None) -> None:
        due = self._owed.pop(work, None)
        if due is not None and status is not None:
            with suppress(StoreError):  # it is sent once more
                await self._entries.remove(work, due)
        self._reports.end(work)
        if due is not None and status is None:
            self._worker.take(work, due)
        else:
            self._reports.count(status)
