"""Storage commitment of archives, which is asked for after C-STORE.

An archive reports on the association of the request or, later, on one that it asks the listener
for. Who asked waits for either. A report that comes when nobody waits any more changes nothing.

References
----------
DICOM PS3.4, J.3.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import sop_class

from gateway.errors import DeliveryUnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pynetdicom.association import Association

PUSH_MODEL = sop_class.StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at run time
_INSTANCE = str(sop_class.StorageCommitmentPushModelInstance)
_REQUEST = 1
_SUCCESS = 0x0000
_NO_SUCH_INSTANCE = 0x0112


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report of an archive.

    Parameters
    ----------
    transaction_uid
        Of the request.
    committed
        SOP Instance UIDs of objects that it has committed.
    failed
        Failure Reason (0008,1197) of the others; None where it is none.
    """

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int | None]

    @classmethod
    def of(cls, information: Dataset) -> ReceivedReport:
        """Return the report in an Event Information, whose elements are parsed as they are read."""
        failed = {}
        for item in information.get("FailedSOPSequence") or ():
            cause = item.get("FailureReason")
            failed[_uid(item)] = cause if isinstance(cause, int) else None
        committed = frozenset(map(_uid, information.get("ReferencedSOPSequence") or ()))
        return cls(str(information.get("TransactionUID", "")), committed, failed)


class AwaitedReports:
    """Reports that are waited for, by the Transaction UIDs of their requests; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: dict[str, Future[ReceivedReport]] = {}

    @contextmanager
    def awaiting(self, transaction_uid: str) -> Iterator[Future[ReceivedReport]]:
        """Yield what has the report once it has come."""
        report: Future[ReceivedReport] = Future()
        with self._lock:
            self._awaited[transaction_uid] = report
        try:
            yield report
        finally:
            with self._lock:
                del self._awaited[transaction_uid]

    def take(self, received: ReceivedReport) -> bool:
        """Take a report; return False where nobody waits for it."""
        with self._lock:
            report = self._awaited.get(received.transaction_uid)
            if report is None or report.done():
                return False
            report.set_result(received)
            return True


def ask_for_commitment(association: Association, transaction_uid: str, stored: Dataset) -> None:
    """Ask for the storage commitment of one object.

    Raises
    ------
    DeliveryUnansweredError
        The archive does not take the request.
    """
    item, information = Dataset(), Dataset()
    item.ReferencedSOPClassUID = stored.SOPClassUID
    item.ReferencedSOPInstanceUID = stored.SOPInstanceUID
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = Sequence([item])
    try:
        answer, _ = association.send_n_action(information, _REQUEST, PUSH_MODEL, _INSTANCE)
    except (RuntimeError, ValueError) as error:
        raise DeliveryUnansweredError("it aborted the association") from error
    if "Status" not in answer:
        raise DeliveryUnansweredError("it did not answer the request for storage commitment")
    if answer.Status != _SUCCESS:
        status = f"{int(answer.Status):04X}"
        raise DeliveryUnansweredError(f"it answered storage commitment with status {status}")


def is_committed(report: Future[ReceivedReport], sop_instance_uid: str, wait_s: float) -> bool:
    """Return True if an object is committed, and False if the archive has none; blocks until then.

    Raises
    ------
    DeliveryUnansweredError
        No report came in time, or it says neither.
    """
    try:
        received = report.result(wait_s)
    except (TimeoutError, CancelledError) as error:
        reason = f"no report on storage commitment came within {wait_s:.0f} s"
        raise DeliveryUnansweredError(reason) from error
    if sop_instance_uid in received.committed:
        return True
    if sop_instance_uid not in received.failed:
        raise DeliveryUnansweredError("its report on storage commitment does not name the object")
    cause = received.failed[sop_instance_uid]
    if cause == _NO_SUCH_INSTANCE:
        return False
    words = "unknown" if cause is None else f"{cause:04X}"
    raise DeliveryUnansweredError(f"it does not commit storage, reason {words}")


def _uid(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID", ""))
