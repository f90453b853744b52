"""Reports on storage commitment that are owed, each sent on an association of its own.

The entry of a report (``work/commitments/``) is the promise that an N-ACTION's success makes, and
all there is to it: it stands until a sender has answered the report, or a day is over.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gateway.audit.trail import Act
from gateway.dimse.commitment_messages import CommitmentRequest, Reference
from gateway.errors import ReportUnansweredError
from gateway.routing.senders import caller_of
from gateway.work.documents import WorkDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.dimse.commitment_reports import CommitmentReports
    from gateway.dimse.report_sender import ReportSender
    from gateway.routing.senders import Senders
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.problem import Problem
    from gateway.work.keys import WorkId

# After it a sender has long asked anew, or given up.
OWED_FOR = dt.timedelta(days=1)


class OwedReport(WorkDocument):
    """Request for storage commitment that was accepted and is not reported on yet."""

    schema_: Literal["radstream.commitment/1"] = Field("radstream.commitment/1", alias="schema")
    sender: str = Field(description="Name of the sender in the routing document.")
    address: str = Field(description="Address that the request came from.")
    request_id: str
    transaction_uid: str
    references: tuple[tuple[str, str], ...] = Field(
        description="SOP Class and Instance UID of each instance."
    )

    def request(self) -> CommitmentRequest:
        """Return the request."""
        references = tuple(Reference(*reference) for reference in self.references)
        return CommitmentRequest(self.transaction_uid, references)


class SendReport:
    """The job of sending a report.

    Parameters
    ----------
    reports
        Makes the report.
    sender
        Sends it.
    senders
        Returns those of the routing document as it is now.
    """

    def __init__(
        self,
        reports: CommitmentReports,
        sender: ReportSender,
        senders: Callable[[], Senders | None],
    ) -> None:
        self._reports = reports
        self._sender = sender
        self._senders = senders

    async def perform(self, work: WorkId, document: OwedReport, deadline: Deadline) -> None:
        """Send it once.

        Raises
        ------
        ReportUnansweredError
            Nobody took it, or it is being sent on the association of its request.
        """
        del deadline  # the sender has shorter ones of its own
        senders = self._senders()
        named = None if senders is None else senders.named(document.sender)
        is_over = dt.datetime.now(dt.UTC) - work.received_at >= OWED_FOR
        if is_over or named is None or named.storage_commitment is None:
            self._reports.count(None)
            return
        if not self._reports.begin(work):
            raise ReportUnansweredError("it is being sent on another association")
        try:
            caller = caller_of(named)
            act = Act(caller=caller, address=document.address, request_id=document.request_id)
            report = await self._reports.make(act, document.request())
            status = await asyncio.to_thread(self._sender.send, named, document.address, report)
        finally:
            self._reports.end(work)
        self._reports.count(status)

    async def failed(self, work: WorkId, document: OwedReport, problem: Problem) -> None:
        """Count it; the parked item tells the operator."""
        del work, document, problem
        self._reports.count(None)

    async def ended(self, work: WorkId, document: OwedReport) -> None:
        """Do nothing: it was taken."""
