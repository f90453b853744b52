"""An association of pynetdicom's, between bytes that are there and work that is elsewhere.

pynetdicom's protocol machine is used as it is; what surrounds it is replaced where it was measured
to be too little for a server:

- Its two threads ask each other and the socket for news a thousand times a second. Here they wait,
  and are woken: an idle association costs nothing.
- It reads whatever length a PDU claims to have, in pieces of 4 KiB. Here one that is longer than
  was negotiated ends the association, unread.
- It takes `select`, which fails for descriptors beyond 1,023.
- A C-STORE of a class that it does not know, or of a request that lacks an element, aborts the
  association or is never answered. Here every one is answered.
- It waits for the answer to a request of its own in the thread that serves the peer's. Here a
  report on storage commitment is sent when the peer is at nothing, and its answer served as it
  comes.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
import sys
import time
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.transport import AddressInformation, AssociationSocket

from gateway.dimse.associate_request import MOST_BYTES
from gateway.dimse.association_reports import QUIET_S, AssociationReports, report_answer
from gateway.dimse.commitment_messages import PUSH_MODEL
from gateway.dimse.data_sets import ReceivedDataSet
from gateway.dimse.sop_classes import offer_contexts
from gateway.studies.dicom_instance import is_uid
from gateway.vocabulary.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.dimse_primitives import DimsePrimitiveType
    from pynetdicom.pdu_primitives import P_DATA
    from pynetdicom.presentation import PresentationContext

    from gateway.dimse.association_reports import DueReport

    Act = Callable[[N_ACTION, PresentationContext, N_ACTION], DueReport | None]

log = structlog.get_logger()

# Timers are looked at so often while nothing comes.
_LOOK_S = 0.25
# Requests that a peer sends before the first is answered; who negotiates no window has one.
_MOST_WAITING = 4
# Affected SOP Class UID, Affected SOP Instance UID.
_AFFECTED_UIDS = (0x00000002, 0x00001000)


class _WakingQueue(queue.Queue[Any]):
    """A queue that wakes whoever waits elsewhere, too."""

    def __init__(self, wake: Callable[[], object]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()


class _Socket(AssociationSocket):
    """The socket of an association, whose request has been read."""

    def __init__(
        self, association: Association, connection: socket.socket, request: bytes, pdu_bytes: int
    ) -> None:
        self._read_before = bytearray(request)
        self._most_bytes = max(pdu_bytes, MOST_BYTES)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        super().__init__(association, client_socket=connection)

    @property
    def ready(self) -> bool:
        """Wait for bytes of the peer or for work of the association; True if there are bytes."""
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        if self._read_before:
            return True
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        idle = self.event_queue.empty() and self.provider_queue.empty()
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            poll.register(self._wake_fd, select.POLLIN)
            found = dict(poll.poll(_LOOK_S * 1000 if idle else 0))
        except (OSError, ValueError):  # closed by the other thread
            self.event_queue.put("Evt17")
            return False
        if self._wake_fd in found:
            with suppress(OSError):
                os.eventfd_read(self._wake_fd)
        return any(descriptor != self._wake_fd for descriptor in found)

    def recv(self, nr_bytes: int) -> bytearray:
        """Return so many bytes, or fewer where the peer has closed.

        Raises
        ------
        OSError
            It is more than a PDU may have, or did not come in time.
        """
        if nr_bytes > self._most_bytes:
            raise OSError(None, "the PDU is longer than was negotiated")
        received = bytearray(nr_bytes)
        taken = self._read_before[:nr_bytes]
        del self._read_before[:nr_bytes]
        received[: len(taken)] = taken
        count = len(taken)
        with memoryview(received) as view:
            while count < nr_bytes:
                got = cast("socket.socket", self.socket).recv_into(view[count:])
                if not got:
                    break
                count += got
        del received[count:]
        return received

    def wake(self) -> None:
        """Have `ready` return."""
        with suppress(OSError):
            os.eventfd_write(self._wake_fd, 1)

    def release(self) -> None:
        """Close all descriptors, once no thread is left."""
        if self.socket is not None:
            self._shutdown_socket()
            with suppress(OSError):
                self.socket.close()
        os.close(self._wake_fd)


class _Messages(DIMSEServiceProvider):
    """Messages of an association, with data sets that are bounded."""

    def __init__(
        self, association: ServedAssociation, *, object_bytes: int, on_idle: Callable[[], None]
    ) -> None:
        super().__init__(association)
        self._object_bytes = object_bytes
        self._on_idle = on_idle

    def get_msg(self, block: bool = False) -> Any:
        """Wait for the next message for a while; ``(None, None)`` where none came."""
        try:
            found = self.msg_queue.get(timeout=self.dimse_timeout if block else _LOOK_S)
        except queue.Empty:
            found = (None, None)
        if found[1] is None and self.message is None:
            self._on_idle()
        return found

    def wake(self) -> None:
        """Have `get_msg` return."""
        self.msg_queue.put((None, None))

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a P-DATA primitive; what is no message of DIMSE's ends the association."""
        if self.message is None:
            if self.msg_queue.qsize() >= _MOST_WAITING:
                self.dul.event_queue.put("Evt19")
                return
            self.message = DIMSEMessage()
            self.message.data_set = ReceivedDataSet(self._object_bytes)
        try:
            super().receive_primitive(primitive)
        except Exception as error:  # noqa: BLE001 - whatever the decoder meets in a peer's bytes
            log.warning("dimse.message_malformed", error=type(error).__qualname__)
            self.dul.event_queue.put("Evt19")

    def discard(self) -> None:
        """Let go of what was received and is not answered."""
        waiting = [self.message.data_set] if self.message is not None else []
        with suppress(queue.Empty):
            while True:
                _, primitive = self.msg_queue.get_nowait()
                if isinstance(primitive, C_STORE):
                    waiting.append(primitive.DataSet)
        for data_set in waiting:
            if isinstance(data_set, BytesIO):
                data_set.close()


class ServedAssociation(Association):
    """An association that a peer asked for, served in threads of its own.

    Parameters
    ----------
    ae
        The local application entity, with its limits.
    connection, address, request
        The socket, the peer's address, and the request that was read from it.
    object_bytes
        Largest data set that is kept.
    store
        Answers a C-STORE: sets the response's status.
    act
        Answers an N-ACTION for storage commitment: sets the response's status, and returns the
        report that is due then; None where the peer may not ask.
    take_report
        Takes the Event Information of a report on storage commitment; returns the status of the
        answer.
    on_end
        Called when it is over.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        connection: socket.socket,
        address: str,
        request: bytes,
        *,
        object_bytes: int,
        store: Callable[[C_STORE, PresentationContext, C_STORE], None],
        act: Act | None,
        take_report: Callable[[N_EVENT_REPORT, PresentationContext], int],
        on_end: Callable[[ServedAssociation], None],
    ) -> None:
        super().__init__(ae, "acceptor")
        self.name = "dimse-association"
        self._store = store
        self._act = act
        self._take_report = take_report
        self._on_end = on_end
        self._is_ending = False
        self._reports = AssociationReports()
        self._served_at = time.monotonic()
        self.messages = _Messages(self, object_bytes=object_bytes, on_idle=self._idle)
        self.dimse = self.messages
        connection.settimeout(ae.network_timeout)
        self._socket = _Socket(self, connection, request, ae.maximum_pdu_size)
        self.dul.name = "dimse-transport"
        self.dul.daemon = True
        self.dul.to_provider_queue = _WakingQueue(self._socket.wake)
        self.dul.to_user_queue = _WakingQueue(self.messages.wake)
        self.set_socket(self._socket)
        self.acceptor.maximum_length = ae.maximum_pdu_size
        self.acceptor.ae_title = ae.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(connection.getsockname())
        self.acceptor.implementation_class_uid = ae.implementation_class_uid
        self.acceptor.implementation_version_name = ae.implementation_version_name
        self.requestor.address_info = AddressInformation(address, 0)
        self.bind(evt.EVT_REQUESTED, offer_contexts, [act is not None])
        self.bind(evt.EVT_DIMSE_RECV, _drop_unusable_uids)

    def run(self) -> None:
        """Serve it to its end."""
        try:
            super().run()
        finally:
            self.dul.kill_dul()
            self._socket.wake()
            if self._started_dul:
                self.dul.join()
            self._socket.release()
            self.messages.discard()
            self._reports.end()
            self._on_end(self)

    def end(self) -> None:
        """Abort it as soon as the instance at hand has been answered."""
        self._is_ending = True
        self.messages.wake()

    def end_now(self) -> None:
        """Close its connection, whatever is under way."""
        self._kill = True
        self.dul.kill_dul()
        if (connection := self._socket.socket) is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._socket.wake()
        self.messages.wake()

    def _serve_request(self, msg: DimsePrimitiveType, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if isinstance(msg, N_EVENT_REPORT) and msg.MessageIDBeingRespondedTo is not None:
            self._reports.take(msg)
        elif context is None or getattr(msg, "MessageID", None) is None:
            super()._serve_request(msg, context_id)  # type: ignore[arg-type]
        elif isinstance(msg, C_STORE):
            self._serve_store(msg, context, context_id)
        elif context.abstract_syntax == PUSH_MODEL and isinstance(msg, N_EVENT_REPORT):
            self._serve_report(msg, context, context_id)
        elif context.abstract_syntax == PUSH_MODEL and isinstance(msg, N_ACTION) and self._act:
            self._serve_action(self._act, msg, context, context_id)
        else:
            super()._serve_request(msg, context_id)  # type: ignore[arg-type]
        self._served_at = time.monotonic()
        if self._is_ending and self.is_established:  # before the peer begins the next
            self.abort()

    def _serve_store(self, msg: C_STORE, context: PresentationContext, context_id: int) -> None:
        response = C_STORE()
        response.MessageID = msg.MessageID
        response.MessageIDBeingRespondedTo = msg.MessageID
        response.AffectedSOPClassUID = msg.AffectedSOPClassUID
        response.AffectedSOPInstanceUID = msg.AffectedSOPInstanceUID
        self._is_paused = True
        self._store(msg, context, response)
        self._is_paused = False
        if msg.DataSet is not None:
            msg.DataSet.close()
        if self.is_established:
            self.dimse.send_msg(response, context_id)

    def _serve_action(
        self,
        act: Act,
        msg: N_ACTION,
        context: PresentationContext,
        context_id: int,
    ) -> None:
        response = N_ACTION()
        response.MessageIDBeingRespondedTo = msg.MessageID
        response.AffectedSOPClassUID = msg.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = msg.RequestedSOPInstanceUID
        response.ActionTypeID = msg.ActionTypeID
        report = act(msg, context, response)
        if msg.ActionInformation is not None:
            msg.ActionInformation.close()
        if self.is_established:
            self.dimse.send_msg(response, context_id)
        if report is not None:
            self._reports.add(report, context)

    def _serve_report(
        self, msg: N_EVENT_REPORT, context: PresentationContext, context_id: int
    ) -> None:
        response = report_answer(msg, self._take_report(msg, context))
        if msg.EventInformation is not None:
            msg.EventInformation.close()
        if self.is_established:
            self.dimse.send_msg(response, context_id)

    def _idle(self) -> None:
        """Do what waits until the peer is at nothing."""
        if self._is_ending:
            self.abort()
        elif (
            self.is_established
            and time.monotonic() - self._served_at >= QUIET_S
            and self.dul.peek_next_pdu() is None
            and (report := self._reports.next()) is not None
        ):
            self.dimse.send_msg(*report)


def make_entity(ae_title: str, *, pdu_bytes: int, idle_s: float) -> ApplicationEntity:
    """Return the local application entity that associations are made of."""
    ae = ApplicationEntity(ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = pdu_bytes
    ae.maximum_associations = sys.maxsize  # the listener has counted them
    ae.network_timeout = idle_s
    ae.acse_timeout = idle_s
    ae.dimse_timeout = idle_s
    return ae


def _drop_unusable_uids(event: evt.Event) -> None:
    """Drop UIDs that are none from a command set, before the message is made of it.

    pynetdicom would end the association; a request that lacks an element is answered.
    """
    command = event.message.command_set
    for tag in _AFFECTED_UIDS:
        if tag in command:
            value = command.get_item(tag).value
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
            if not is_uid(text.rstrip("\0 ")):
                del command[tag]
