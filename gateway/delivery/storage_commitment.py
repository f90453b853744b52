"""Storage commitment of archives, which is asked for after C-STORE.

An archive reports on the association of the request or, later, on one that it asks the listener
for. Who asked waits for either; for a report that comes later see `gateway.delivery.late_reports`.

References
----------
DICOM PS3.4, J.3.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import sop_class

from gateway.errors import DeliveryUnansweredError
from gateway.results.asked_commitments import AskedCommitment, new_transaction_uid
from gateway.results.keys import withdrawn_study

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from pynetdicom.association import Association

    from gateway.delivery.transport import Rendering
    from gateway.results.asked_commitments import AskedCommitments

PUSH_MODEL = sop_class.StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at run time
_INSTANCE = str(sop_class.StorageCommitmentPushModelInstance)
_REQUEST = 1
_SUCCESS = 0x0000
NO_SUCH_INSTANCE = 0x0112


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

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return the report that `written` made these bytes of."""
        transaction_uid, committed, failed = json.loads(data)
        return cls(transaction_uid, frozenset(committed), failed)

    def written(self) -> bytes:
        """Return the report as bytes, for another process."""
        return json.dumps(
            [self.transaction_uid, sorted(self.committed), dict(self.failed)]
        ).encode()


class AwaitedReports:
    """Reports that are waited for, by the Transaction UIDs of their requests; for all threads.

    Parameters
    ----------
    pass_on
        Takes those that nobody waits for here, where another process of the gateway may.
    """

    def __init__(self, pass_on: Callable[[ReceivedReport], None] | None = None) -> None:
        self._pass_on = pass_on
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

    def has(self, transaction_uid: str) -> bool:
        """Return True if a report is waited for here."""
        with self._lock:
            return transaction_uid in self._awaited

    def take(self, received: ReceivedReport) -> bool:
        """Take a report; return False where nobody waits for it here."""
        with self._lock:
            report = self._awaited.get(received.transaction_uid)
        if report is None:
            if self._pass_on is not None:
                self._pass_on(received)
            return False
        try:
            report.set_result(received)
        except InvalidStateError:  # it has one, or is waited for no more
            return False
        return True


class Commitments:
    """Storage commitment that archives are asked for, on the event loop that this is made on.

    Parameters
    ----------
    awaited
        Reports that attempts of this gateway wait for.
    asked
        Keeps the requests of all gateways until they are reported on; None for none to be kept.
    """

    def __init__(
        self, awaited: AwaitedReports | None = None, asked: AskedCommitments | None = None
    ) -> None:
        self.awaited = AwaitedReports() if awaited is None else awaited
        self._asked = asked
        self._loop = None if asked is None else asyncio.get_running_loop()

    async def ask(
        self,
        destination: str,
        rendering: Rendering,
        request: Callable[[str], Awaitable[ReceivedReport | None]],
    ) -> ReceivedReport | None:
        """Return the report on an object that an archive was brought; None where none came in time.

        Then the request is kept. That for a withdrawal is not: nothing is known of one that was
        taken. One that was made before is asked for its report, and ended.

        Parameters
        ----------
        request
            Asks under a Transaction UID, and waits.

        Raises
        ------
        DeliveryUnansweredError
        """
        work, asked = rendering.work, self._asked
        if asked is None or work is None or withdrawn_study(work.study_id) is not None:
            return await request(
                new_transaction_uid("" if work is None else work.study_id, time.time())
            )
        note = AskedCommitment(
            destination=destination,
            rendering=rendering.kind,
            revision=rendering.revision,
            sop_instance_uid=rendering.uid,
        )
        for earlier in await asked.open_on(work.study_id, destination, rendering.uid):
            kept = await asked.report(earlier)
            if kept is not None and kept.committed:
                return ReceivedReport(earlier, frozenset([rendering.uid]), {})
            await asked.end(earlier)
        transaction_uid = await asked.add(work, note)
        try:
            received = await request(transaction_uid)
        except DeliveryUnansweredError as error:
            if not error.is_sent:
                await asked.end(transaction_uid)
            raise
        if received is None:  # another gateway may have taken it
            kept = await asked.report(transaction_uid)
            if kept is None:
                return None
            uids = frozenset([rendering.uid] if kept.committed else [])
            failed = {} if kept.committed else {rendering.uid: kept.reason}
            received = ReceivedReport(transaction_uid, uids, failed)
        if rendering.uid not in received.committed:  # else it counts, should the gateway die now
            await asked.end(transaction_uid)
        return received

    async def supersede(self, destination: str, rendering: Rendering) -> None:
        """Forget earlier requests for an object that a destination is about to be brought again."""
        if self._asked is None or rendering.work is None:
            return
        study_id = rendering.work.study_id
        for earlier in await self._asked.open_on(study_id, destination, rendering.uid):
            await self._asked.end(earlier)

    def take(self, received: ReceivedReport) -> bool:
        """Keep a report and tell who waits; see `keep`."""
        is_known = self.keep(received)
        self.tell(received)
        return is_known

    def keep(self, received: ReceivedReport) -> bool:
        """Keep a report; return False where no such request was made. Blocks another thread.

        Raises
        ------
        StoreError, UnreadableDocumentError
        RuntimeError
            The gateway ends.
        """
        is_awaited = self.awaited.has(received.transaction_uid)
        if self._asked is None or self._loop is None:
            return is_awaited
        keeping = self._asked.keep(received.transaction_uid, received.committed, received.failed)
        try:
            return asyncio.run_coroutine_threadsafe(keeping, self._loop).result() or is_awaited
        except RuntimeError:  # the loop is closed
            keeping.close()
            raise

    def tell(self, received: ReceivedReport) -> None:
        """Tell the attempt that waits for a report; without one it is applied from where it is."""
        if not self.awaited.take(received) and self._asked is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._asked.kept.set)


def ask_for_commitment(association: Association, transaction_uid: str, stored: Dataset) -> None:
    """Ask for the storage commitment of one object.

    Raises
    ------
    DeliveryUnansweredError
        The archive does not take the request, or it is not known if it has. It is there, and took
        the association for this: so it counts as declined, too, if it does not answer.
    """
    item, information = Dataset(), Dataset()
    item.ReferencedSOPClassUID = stored.SOPClassUID
    item.ReferencedSOPInstanceUID = stored.SOPInstanceUID
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = Sequence([item])
    try:
        answer, _ = association.send_n_action(information, _REQUEST, PUSH_MODEL, _INSTANCE)
    except (RuntimeError, ValueError) as error:
        reason = "it aborted the association for storage commitment"
        raise DeliveryUnansweredError(reason, is_sent=True, is_declined=True) from error
    if "Status" not in answer:
        reason = "it did not answer the request for storage commitment"
        raise DeliveryUnansweredError(reason, is_sent=True, is_declined=True)
    if answer.Status != _SUCCESS:
        reason = f"it answered storage commitment with status {int(answer.Status):04X}"
        raise DeliveryUnansweredError(reason, is_declined=True)


def report_within(report: Future[ReceivedReport], wait_s: float) -> ReceivedReport | None:
    """Return the report once it has come; None if it does not in time."""
    try:
        return report.result(wait_s)
    except (TimeoutError, CancelledError):
        return None if report.cancel() or report.cancelled() else report.result()


def is_committed(received: ReceivedReport, sop_instance_uid: str) -> bool:
    """Return True if a report has an object as committed, and False if the archive has none.

    Raises
    ------
    DeliveryUnansweredError
        It says neither.
    """
    if sop_instance_uid in received.committed:
        return True
    if sop_instance_uid not in received.failed:
        raise DeliveryUnansweredError("its report on storage commitment does not name the object")
    reason = received.failed[sop_instance_uid]
    if reason == NO_SUCH_INSTANCE:
        return False
    raise DeliveryUnansweredError(not_committed(reason))


def not_committed(reason: int | None) -> str:
    """Return the words for an object that an archive holds and does not commit.

    Parameters
    ----------
    reason
        Failure Reason (0008,1197); None where it is none.
    """
    return f"it does not commit storage, reason {'unknown' if reason is None else f'{reason:04X}'}"


def _uid(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID", ""))
