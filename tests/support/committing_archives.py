"""Archives that are asked for storage commitment, and report as a test tells them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.pdu import A_RELEASE_RQ

from gateway.delivery.storage_commitment import PUSH_MODEL
from gateway.dimse.commitment_messages import PUSH_MODEL_INSTANCE
from tests.support.delivery_archives import CLASSES, TITLE, Archive, serving
from tests.support.dimse import TITLE as LISTENER

SUCCESS, PROCESSING_FAILURE, NO_SUCH_INSTANCE = 0x0000, 0x0110, 0x0112


@dataclass
class Committing(Archive):
    """An archive that is asked for storage commitment, and reports on the same association.

    It commits nothing that it does not hold.

    Attributes
    ----------
    status
        Of the answer to the request.
    failure
        Failure Reason of the object; None commits it where it is held.
    is_silent
        True to report nothing.
    is_mute
        True to answer no request.
    changes
        Of the Event Information.
    asked
        Action Information of the requests.
    turns
        For the first requests, in turn: True to report nothing, and the Failure Reason.
    unreported
        Requests whose reports were not answered, or not sent, and the Failure Reason to report.
    answers
        Statuses of the answers to reports.
    committed
        Objects that it reported as committed.
    release_s
        Seconds after which a release is answered.
    """

    status: int = SUCCESS
    failure: int | None = None
    is_silent: bool = False
    is_mute: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    turns: list[tuple[bool, int | None]] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)
    unreported: list[tuple[Dataset, int | None]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    committed: set[str] = field(default_factory=set)
    release_s: float = 0.0
    _on: dict[Any, Dataset] = field(default_factory=dict)

    def report_late(self, port: int) -> None:
        """Report on all requests that are unreported, on associations of the archive's own."""
        for association in [each for each in self._on if not each.is_alive()]:
            self.unreported.append((self._on.pop(association), None))
        for _ in range(len(self.unreported)):
            asked, failure = self.unreported.pop(0)
            report = self._information(asked, failure)
            try:
                answer = report_to(port, report)
            except ConnectionError:
                self.unreported.append((asked, failure))
            else:
                self.answers.append(int(answer.Status))

    def act(self, event: evt.Event) -> tuple[int, None]:
        """Answer the request."""
        asked = event.action_information
        self.asked.append(asked)
        self._on[event.assoc] = asked
        while self.is_mute and event.assoc.is_established:
            time.sleep(0.05)
        return self.status, None

    def sent(self, event: evt.Event) -> None:
        """Report once the request is answered."""
        if not isinstance(event.message, N_ACTION_RSP) or self.status:
            return
        asked = self._on.pop(event.assoc)
        is_silent, failure = self.turns.pop(0) if self.turns else (self.is_silent, self.failure)
        if is_silent:
            self.unreported.append((asked, failure))
        else:
            arguments = [event.assoc, asked, failure]
            threading.Thread(target=self._report, args=arguments).start()

    def received(self, event: evt.Event) -> None:
        """Take time for a release."""
        if isinstance(event.pdu, A_RELEASE_RQ):
            time.sleep(self.release_s)

    def _report(self, association: Any, asked: Dataset, failure: int | None) -> None:
        report = self._information(asked, failure)
        kind = 2 if "FailedSOPSequence" in report else 1
        answer = Dataset()
        with suppress(RuntimeError):  # who waits no more has released the association
            answer, _ = association.send_n_event_report(report, kind, PUSH_MODEL, PUSH_MODEL)
        if "Status" in answer:
            self.answers.append(int(answer.Status))
        else:
            self.unreported.append((asked, failure))

    def _information(self, asked: Dataset, failure: int | None) -> Dataset:
        [item] = asked.ReferencedSOPSequence
        uid = str(item.ReferencedSOPInstanceUID)
        if uid not in self.held:
            failure = failure or NO_SUCH_INSTANCE
        if failure is None:
            self.committed.add(uid)
        return information(asked, failure, **self.changes)


def information(asked: Dataset, failure: int | None = None, **changes: Any) -> Dataset:
    """Return the Event Information of a report on a request."""
    found = Dataset()
    found.TransactionUID = asked.TransactionUID
    if failure is None:
        found.ReferencedSOPSequence = asked.ReferencedSOPSequence
    else:
        asked.ReferencedSOPSequence[0].FailureReason = failure
        found.FailedSOPSequence = asked.ReferencedSOPSequence
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    return found


def report_to(port: int, report: Dataset, calling: str = TITLE) -> Dataset:
    """Report on an association of the archive's own; return the answer.

    Raises
    ------
    ConnectionError
        No association came about, or no answer.
    """
    entity = ApplicationEntity(calling)
    entity.add_requested_context(PUSH_MODEL)
    association = entity.associate(
        "127.0.0.1", port, ae_title=LISTENER, ext_neg=[build_role(PUSH_MODEL, scp_role=True)]
    )
    if not association.is_established:
        raise ConnectionError("no association")
    try:
        kind = 2 if "FailedSOPSequence" in report else 1
        answer, _ = association.send_n_event_report(report, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    except RuntimeError as error:
        raise ConnectionError("it was aborted") from error
    finally:
        association.release()
    if "Status" not in answer:
        raise ConnectionError("no answer")
    return answer


@contextmanager
def committing(*, is_offered: bool = True, **changes: Any) -> Iterator[Committing]:
    """An archive on a free port of loopback."""
    found = Committing(0, **changes)
    entity = ApplicationEntity(TITLE)
    for sop_class in CLASSES:
        entity.add_supported_context(sop_class)
    if is_offered:
        entity.add_supported_context(PUSH_MODEL)
    handlers = [
        (evt.EVT_N_ACTION, found.act),
        (evt.EVT_DIMSE_SENT, found.sent),
        (evt.EVT_PDU_RECV, found.received),
    ]
    with serving(entity, found, *handlers):
        yield found
