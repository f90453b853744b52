"""Reports on storage commitment that are due on the association of their request."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pynetdicom.dimse_primitives import N_EVENT_REPORT

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE, encoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from pynetdicom.presentation import PresentationContext

    from gateway.dimse.commitment_messages import CommitmentReport

# Whoever releases the association after the answer to its request does so within it, and takes a
# report that meets the release for a fault. Most who stay wait for longer.
QUIET_S = 1.0
_MOST_MESSAGE_ID = 0xFFFF


@dataclass(frozen=True, slots=True)
class DueReport:
    """A report that a request has been promised.

    Parameters
    ----------
    report
        The report, once it is known.
    begin
        Called before it is sent, in the association's thread; returns False where it was sent on
        another.
    on_answer
        Called with the status of the peer's answer, or with None where none came.
    """

    report: Future[CommitmentReport]
    begin: Callable[[], bool]
    on_answer: Callable[[int | None], None]


def report_answer(report: N_EVENT_REPORT, status: int) -> N_EVENT_REPORT:
    """Return the answer to a peer's report."""
    answer = N_EVENT_REPORT()
    answer.MessageIDBeingRespondedTo = report.MessageID
    answer.AffectedSOPClassUID = report.AffectedSOPClassUID
    answer.AffectedSOPInstanceUID = report.AffectedSOPInstanceUID
    answer.EventTypeID = report.EventTypeID
    answer.Status = status
    return answer


class AssociationReports:
    """Reports of one association, sent one after another."""

    def __init__(self) -> None:
        self._due: list[tuple[DueReport, PresentationContext]] = []
        self._sent: DueReport | None = None
        self._message_id = 0

    def add(self, report: DueReport, context: PresentationContext) -> None:
        """Have it sent in the context of its request."""
        self._due.append((report, context))

    def take(self, message: N_EVENT_REPORT) -> None:
        """Take the peer's answer to the report that was sent last."""
        sent, self._sent = self._sent, None
        if sent is not None and message.Status is not None:
            sent.on_answer(message.Status)

    def next(self) -> tuple[N_EVENT_REPORT, int] | None:
        """Return the next message, with the id of its context; None where none is due."""
        if self._sent is not None or not self._due or not self._due[0][0].report.done():
            return None
        due, context = self._due.pop(0)
        if due.report.cancelled() or due.report.exception() is not None or not due.begin():
            due.on_answer(None)
            return None
        report = due.report.result()
        message = N_EVENT_REPORT()
        self._message_id = self._message_id % _MOST_MESSAGE_ID + 1
        message.MessageID = self._message_id
        message.AffectedSOPClassUID = PUSH_MODEL
        message.AffectedSOPInstanceUID = PUSH_MODEL_INSTANCE
        message.EventTypeID = report.event_type
        message.EventInformation = BytesIO(encoded(report, context.transfer_syntax[0]))
        self._sent = due
        return message, int(context.context_id or 0)

    def end(self) -> None:
        """Give up what was not answered: no more will come on this association."""
        unanswered = [] if self._sent is None else [self._sent]
        for due in (*unanswered, *(due for due, _ in self._due)):
            due.on_answer(None)
