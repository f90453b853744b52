"""Results to an archive by C-STORE, each object on an association of its own.

An association that an error or a time-out ends is aborted: what comes late on it can be taken for
the answer to no other object.

References
----------
DICOM PS3.4, annexes A (verification), B (storage) and J (commitment), C.4.1 (C-FIND). PS3.7, 9.3.1.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from gateway.delivery.associations import Requestor, rejection_of
from gateway.delivery.client_tls import dicom_context
from gateway.delivery.dicom_objects import STORED, may_pass, parsed
from gateway.delivery.storage_commitment import (
    PUSH_MODEL,
    Commitments,
    ReceivedReport,
    ask_for_commitment,
    is_committed,
    report_within,
)
from gateway.errors import (
    DeadlineExceededError,
    DeliveryRefusedError,
    DeliveryUnansweredError,
)
from gateway.runtime.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from pynetdicom.association import Association
    from pynetdicom.events import Event, EventHandlerType

    from gateway.delivery.transport import Rendering
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import CommitmentWait, DicomDestination
    from gateway.settings import DimseSettings

log = structlog.get_logger()

_FIND = StudyRootQueryRetrieveInformationModelFind
_CONNECT_S = 5.0
_NEGOTIATION_S = 15.0
_RELEASE_S = 1.0
_SUCCESS, _INVALID_ARGUMENT = 0x0000, 0x0115
_PENDING = frozenset({0xFF00, 0xFF01})
# PS3.8, 9.3.3.2: neither the abstract syntax nor any of the transfer syntaxes is supported.
_UNSUPPORTED = frozenset({3, 4})
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
# PS3.8, 9.3.4: source and reason of a rejection whose cause is a setting on either side.
_REJECTIONS: dict[tuple[int | None, int | None], str] = {
    (1, 3): "it does not know the AE title of the gateway",
    (1, 7): "its own AE title is another one",
}


class DicomTransport:
    """The way to one archive.

    Parameters
    ----------
    destination
        The archive.
    listener
        Has the AE title and the TLS files that the destination leaves unset.
    at_once
        Threads, each of which is at one object.
    commitments
        Storage commitment that archives are asked for; without, a report is taken on the
        association of its request, and while that is waited for.
    """

    def __init__(
        self,
        destination: DicomDestination,
        listener: DimseSettings,
        *,
        at_once: int,
        commitments: Commitments | None = None,
    ) -> None:
        self._destination = destination
        self._commitments = commitments or Commitments()
        self._awaited: set[Future[ReceivedReport]] = set()
        self._listener = listener
        # Not the event loop's own: archives that hang would take all of those.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="c-store")
        self._connections: set[socket.socket] = set()

    def close(self) -> None:
        """Cut off what is on its way, and end the threads, which the process would wait for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for report in [*self._awaited]:
            report.cancel()
        for connection in [*self._connections]:
            with suppress(OSError):  # it is over
                connection.shutdown(socket.SHUT_RDWR)

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Store the object; see `Transport.send`."""
        if self._destination.storage_commitment is not None:
            await self._commitments.supersede(self._destination.name, rendering)
        await in_thread(self._threads, lambda: self._store(rendering, deadline))

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return True if the archive has the object: by storage commitment, or by a C-FIND.

        None where it is to be asked by C-FIND, and answers none.

        Raises
        ------
        DeliveryUnansweredError
        """
        if self._destination.storage_commitment is None:
            return await in_thread(self._threads, lambda: self._find(rendering, deadline))
        return await self._is_committed(self._destination.storage_commitment, rendering, deadline)

    async def check(self, deadline: Deadline) -> str:
        """Ask for a C-ECHO; see `Transport.check`."""
        return await in_thread(self._threads, lambda: self._echo(deadline))

    def _echo(self, deadline: Deadline) -> str:
        with self._associated(Verification, _SYNTAXES, deadline) as association:
            if association is None:
                raise DeliveryRefusedError("it takes the association and no C-ECHO on it")
            answer = association.send_c_echo()
            if "Status" not in answer:
                raise DeliveryUnansweredError("it did not answer the C-ECHO in time")
            status = int(answer.Status)
        if status != _SUCCESS:
            raise DeliveryRefusedError(f"it answered the C-ECHO with status {status:04X}")
        return "it answered the C-ECHO"

    def _store(self, rendering: Rendering, deadline: Deadline) -> None:
        dataset = parsed(rendering.data)
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        # PS3.5, 10.1: who offers an uncompressed syntax offers the default one, too.
        plain = [ImplicitVRLittleEndian] if syntax == ExplicitVRLittleEndian else []
        with self._associated(dataset.SOPClassUID, [syntax, *plain], deadline) as association:
            if association is None:
                raise DeliveryRefusedError(
                    f"it takes no objects of the class {dataset.SOPClassUID}"
                )
            try:
                answer = association.send_c_store(dataset)
            except (RuntimeError, ValueError) as error:
                raise DeliveryUnansweredError("it aborted the association", is_sent=True) from error
            if "Status" not in answer:
                reason = "it did not answer the C-STORE in time, or ended the association"
                raise DeliveryUnansweredError(reason, is_sent=True)
            status = int(answer.Status)
        if status not in STORED:
            reason = f"it answered the C-STORE with status {status:04X}"
            if may_pass(status):
                raise DeliveryUnansweredError(reason, is_sent=True)
            raise DeliveryRefusedError(reason)
        if status != _SUCCESS:
            log.warning(
                "delivery.stored_with_warning",
                destination=self._destination.name,
                status=f"{status:04X}",
            )

    def _find(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        dataset = parsed(rendering.data)
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID = dataset.StudyInstanceUID
        query.SeriesInstanceUID = dataset.SeriesInstanceUID
        query.SOPInstanceUID = dataset.SOPInstanceUID
        with self._associated(_FIND, _SYNTAXES, deadline) as association:
            if association is None:
                return None
            found, status = False, -1
            for answer, match in association.send_c_find(query, _FIND):
                status = int(answer.Status) if "Status" in answer else -1
                if status in _PENDING and match is not None:
                    found |= match.get("SOPInstanceUID") == query.SOPInstanceUID
        if status < 0:
            raise DeliveryUnansweredError("it did not answer the C-FIND in time")
        return found if status == _SUCCESS else None

    async def _is_committed(
        self, commitment: CommitmentWait, rendering: Rendering, deadline: Deadline
    ) -> bool:
        async def ask(transaction_uid: str) -> ReceivedReport | None:
            asking = partial(self._commit, rendering, transaction_uid, commitment.wait_s, deadline)
            return await in_thread(self._threads, asking)

        try:
            async with deadline.later(-_RELEASE_S / 2).bounds("delivery"):
                received = await self._commitments.ask(self._destination.name, rendering, ask)
        except DeliveryUnansweredError as error:
            raise replace(error, is_unasked=True) from error
        except DeadlineExceededError as error:
            reason = "it could not be asked for storage commitment in time"
            raise DeliveryUnansweredError(reason, is_unasked=True) from error
        if received is None:
            reason = f"no report on storage commitment came within {commitment.wait_s:.0f} s"
            raise DeliveryUnansweredError(reason)
        return is_committed(received, rendering.uid)

    def _commit(
        self, rendering: Rendering, transaction_uid: str, wait_s: float, deadline: Deadline
    ) -> ReceivedReport | None:
        with ExitStack() as stack:
            report = stack.enter_context(self._commitments.awaited.awaiting(transaction_uid))
            self._awaited.add(report)
            stack.callback(self._awaited.discard, report)
            association = stack.enter_context(
                self._associated(PUSH_MODEL, _SYNTAXES, deadline, self._report_handlers())
            )
            if association is None:
                reason = "it takes no requests for storage commitment"
                raise DeliveryUnansweredError(reason, is_declined=True)
            # The release comes after it, and before the request counts as not made.
            over = deadline.later(-2 * _RELEASE_S)
            association.dimse_timeout = max(_RELEASE_S / 2, over.remaining_s())
            ask_for_commitment(association, transaction_uid, parsed(rendering.data))
            return report_within(report, min(wait_s, max(0.0, over.remaining_s())))

    def _report_handlers(self) -> list[EventHandlerType]:
        """Return what takes a report on the association of a request.

        The one that is waited for there is taken once it is answered: it ends the association.
        """
        answered: list[ReceivedReport] = []

        def answer(event: Event) -> tuple[int, None]:
            try:
                received = ReceivedReport.of(event.event_information)
                is_known = self._commitments.keep(received)
            except Exception as error:  # noqa: BLE001 - whatever the decoder meets in a peer's bytes
                log.warning("delivery.report_unreadable", error=type(error).__qualname__)
                return _INVALID_ARGUMENT, None
            if is_known:
                answered.append(received)
            return _SUCCESS if is_known else _INVALID_ARGUMENT, None

        def take(_: Event) -> None:
            while answered:
                self._commitments.tell(answered.pop())

        return [(evt.EVT_N_EVENT_REPORT, answer), (evt.EVT_PDU_SENT, take)]

    @contextmanager
    def _associated(
        self,
        abstract_syntax: UID,
        transfer_syntaxes: list[UID],
        deadline: Deadline,
        handlers: Sequence[EventHandlerType] = (),
    ) -> Iterator[Association | None]:
        """Yield an association for one class; None where the archive does not support that.

        Parameters
        ----------
        handlers
            Of what the archive asks for on it.

        Raises
        ------
        DeliveryUnansweredError
        """
        with ExitStack() as stack:
            association = self._open(abstract_syntax, transfer_syntaxes, deadline, stack, handlers)
            if not association.is_established:
                if not _is_unsupported(association):
                    raise _not_established(association)
                yield None
                return
            association.dimse_timeout = max(_RELEASE_S, deadline.remaining_s())
            association.network_timeout = association.dimse_timeout
            try:
                yield association
            except BaseException:
                if association.is_established:
                    association.abort()
                raise
            if association.is_established:
                association.acse_timeout = _RELEASE_S
                association.release()

    def _open(
        self,
        abstract_syntax: UID,
        transfer_syntaxes: list[UID],
        deadline: Deadline,
        stack: ExitStack,
        handlers: Sequence[EventHandlerType],
    ) -> Association:
        """Return an association that was asked for, whatever the answer.

        Parameters
        ----------
        stack
            Closes its connection, which pynetdicom leaves to the collector where it broke.
        """

        def opened(event: Event) -> None:
            transport = event.assoc.dul.socket
            if transport is not None and transport.socket is not None:
                stack.enter_context(self._open_connection(transport.socket))

        destination = self._destination
        entity = Requestor(destination.calling_ae_title or self._listener.ae_title)
        left_s = max(_RELEASE_S, deadline.remaining_s())
        entity.connection_timeout = min(_CONNECT_S, left_s)
        entity.acse_timeout = min(_NEGOTIATION_S, left_s)
        entity.add_requested_context(abstract_syntax, transfer_syntaxes)
        context = dicom_context(destination, self._listener)
        return entity.associate(
            destination.host,
            destination.port,
            ae_title=destination.ae_title,
            tls_args=None if context is None else (context, destination.host),
            evt_handlers=[(evt.EVT_CONN_OPEN, opened), *handlers],
        )

    @contextmanager
    def _open_connection(self, connection: socket.socket) -> Iterator[None]:
        """Know a connection, which is closed at the block's end.

        The system ends that of a peer that does not read; pynetdicom would wait.
        """
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = int(_NEGOTIATION_S * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)
            connection.close()


def _is_unsupported(association: Association) -> bool:
    contexts = association.rejected_contexts
    return bool(contexts) and all(context.result in _UNSUPPORTED for context in contexts)


def _not_established(association: Association) -> DeliveryUnansweredError:
    answer = rejection_of(association)
    if answer is None:
        return DeliveryUnansweredError("no association came about")
    source, reason = answer.result_source, answer.diagnostic
    known = _REJECTIONS.get((source, reason))
    words = "" if known is None else f": {known}"
    told = f"it rejected the association, source {source}, reason {reason}{words}"
    return DeliveryUnansweredError(told, is_declined=True)
