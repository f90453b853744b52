"""The DICOM listener: C-STORE, C-ECHO and storage commitment for senders that are known.

Protocol runs in threads, two for each association; whatever an instance needs of the gateway runs
on its event loop, to which an association hands one instance at a time and waits.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from pynetdicom import _config

from gateway.access.callers import ANONYMOUS
from gateway.dimse.associate_request import Rejection, titles, with_blanks
from gateway.dimse.association import ServedAssociation, make_entity
from gateway.dimse.commitment_messages import (
    ActionRefusedError,
    ActionStatus,
    read_report,
    read_request,
)
from gateway.dimse.connections import ENDS, Connections
from gateway.dimse.data_sets import ReceivedDataSet, file_head
from gateway.dimse.instances import Peer, ReceivedInstance
from gateway.errors import RadStreamError, log_fields
from gateway.routing.senders import caller_of
from gateway.studies.dicom_instance import FailureReason, InstanceUids

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
    from pynetdicom.presentation import PresentationContext

    from gateway.access.callers import Caller
    from gateway.dimse.association_reports import DueReport
    from gateway.dimse.intake import DicomIntake
    from gateway.observability.metrics import Metrics
    from gateway.routing.senders import Senders
    from gateway.settings import DimseSettings

T = TypeVar("T")

log = structlog.get_logger()

# Connections that have not asked for an association; a few hundred bytes each.
_MOST_ARRIVALS = 512
_REJECTION_S = 1.0
_SHUT_S = 5.0
_SUCCESS = 0x0000
# Error Comment (0000,0902): 64 characters at the most.
_TOO_LARGE = "Larger than the limit of {limit} bytes"
ERROR_COMMENTS = {
    FailureReason.PROCESSING_FAILURE: "Not stored; it may be sent again",
    FailureReason.SOP_CLASS_NOT_SUPPORTED: "No model takes an image of this kind",
    FailureReason.OUT_OF_RESOURCES: "No room now; it may be sent again later",
    FailureReason.DATA_SET_MISMATCH: "Command set and data set name different instances",
    FailureReason.CANNOT_UNDERSTAND: "The data set is no image that can be read",
    FailureReason.IDENTITY_CONFLICT: "Patient or order contradict what is stored of the study",
    FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED: "Images in this transfer syntax are not read",
}

# The standard handlers log every PDU and message, with what is in them.
_config.LOG_HANDLER_LEVEL = "none"


class DicomListenerError(Exception):
    """The gateway cannot listen for DICOM; the message says what to do."""


class DicomListener:
    """Listens for associations, and stores what their senders send.

    Parameters
    ----------
    settings
        Address, title and limits.
    intakes
        Take what senders of each tenant send, on the event loop that this is made on; under None
        what those do who have none.
    senders
        Applications that may send; None where whoever reaches the listener may.
    context
        Returns the TLS context for a new connection; None for plain DICOM.
    metrics
        Told of connections, associations and instances.
    on_fault
        Called when the listener ends by itself.

    Raises
    ------
    OSError
        Nobody can listen there.
    """

    def __init__(
        self,
        settings: DimseSettings,
        intakes: Mapping[str | None, DicomIntake],
        *,
        senders: Senders | None,
        context: Callable[[], ssl.SSLContext | None],
        metrics: Metrics,
        on_fault: Callable[[], None],
    ) -> None:
        self.senders = senders
        self._settings = settings
        self._intakes = intakes
        self._metrics = metrics.dimse
        self._loop = asyncio.get_running_loop()
        self._entity = make_entity(
            settings.ae_title, pdu_bytes=settings.pdu_bytes, idle_s=settings.idle_s
        )
        self._lock = threading.Lock()
        self._open: dict[ServedAssociation, Peer] = {}
        self._ended = asyncio.Event()
        self._metrics.expect(
            ends=ENDS,
            outcomes=("accepted", *(rejection.name.lower() for rejection in Rejection)),
            statuses=[_label(status) for status in (_SUCCESS, *FailureReason)],
            actions=[_label(status) for status in ActionStatus],
        )
        self._metrics.open_associations.set_function(lambda: len(self._open))
        self._connections = Connections(
            settings.host,
            settings.port,
            context=context,
            timeout_s=settings.request_timeout_s,
            most=_MOST_ARRIVALS,
            on_request=self._associate,
            on_end=lambda reason: self._metrics.connections_ended.labels(reason).inc(),
            on_fault=lambda: self._call(on_fault),
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        return self._connections.address

    def start(self) -> None:
        """Take associations from now on."""
        self._connections.start()

    async def close(self, grace_s: float) -> None:
        """Take no more associations, and end those that are open.

        Each is aborted once its instance at hand is answered, and after the grace period whatever
        it is at: what was answered is stored, what was not is the sender's to send again.
        """
        await asyncio.to_thread(self._connections.close)
        for end, within_s in (
            (ServedAssociation.end, grace_s),
            (ServedAssociation.end_now, _SHUT_S),
        ):
            for association in self._associations():
                end(association)
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while self._associations():
                        self._ended.clear()
                        await self._ended.wait()

    def _associations(self) -> list[ServedAssociation]:
        with self._lock:
            return list(self._open)

    # --- in the listener's thread ----------------------------------------------------------------

    def _associate(self, connection: socket.socket, address: str, request: bytes) -> None:
        """Accept or reject an association."""
        named = titles(request)
        caller: Caller | None = ANONYMOUS
        sender = None
        if self.senders is not None:
            sender = self.senders.find(named.calling, address)
            caller = None if sender is None else caller_of(sender)
        peer = Peer(caller, address, secrets.token_hex(16), sender)
        rejection: Rejection | None = None
        if caller is None:
            rejection = Rejection.CALLING_AE_TITLE
        elif named.called != self._settings.ae_title:
            rejection = Rejection.CALLED_AE_TITLE
        elif len(self._associations()) >= self._settings.associations:
            rejection = Rejection.LIMIT
        outcome = "accepted" if rejection is None else rejection.name.lower()
        self._metrics.associations.labels(outcome).inc()
        self._record(peer, accepted=rejection is None)
        if rejection is not None:
            _reject(connection, rejection)
            return
        association = ServedAssociation(
            self._entity,
            connection,
            address,
            with_blanks(request),
            object_bytes=self._settings.object_bytes,
            store=lambda *instance: self._answer(peer, *instance),
            act=partial(self._act, peer) if peer.may_ask_for_commitment else None,
            take_report=self._take_report,
            on_end=self._end,
        )
        with self._lock:
            self._open[association] = peer
        association.start()

    def _record(self, peer: Peer, *, accepted: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed
            store = self._intakes[peer.tenant].store
            self._on_loop(store.record_association(peer, accepted=accepted))

    # --- in an association's thread --------------------------------------------------------------

    def _answer(
        self, peer: Peer, request: C_STORE, context: PresentationContext, response: C_STORE
    ) -> None:
        """Store an instance, and set the status of its response."""
        failure, words = self._stored(peer, request, context)
        response.Status = _SUCCESS if failure is None else failure.value
        if failure is not None:
            comment = words or ERROR_COMMENTS[failure]
            response.ErrorComment = comment  # type: ignore[assignment]  # None is its first value
        self._metrics.instances.labels(_label(response.Status)).inc()

    def _stored(
        self, peer: Peer, request: C_STORE, context: PresentationContext
    ) -> tuple[FailureReason | None, str | None]:
        data_set = request.DataSet
        if not request.is_valid_request or not isinstance(data_set, ReceivedDataSet):
            return FailureReason.CANNOT_UNDERSTAND, None
        if data_set.is_too_large:
            words = _TOO_LARGE.format(limit=self._settings.object_bytes)
            return FailureReason.OUT_OF_RESOURCES, words
        if data_set.fault is not None:
            log.warning("dimse.instance_lost", error=data_set.fault.strerror)
            return FailureReason.OUT_OF_RESOURCES, None
        class_uid, instance_uid = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
        if class_uid is None or instance_uid is None:
            return FailureReason.CANNOT_UNDERSTAND, None
        instance = ReceivedInstance(
            file_head(class_uid, instance_uid, context.transfer_syntax[0]),
            data_set,
            InstanceUids(sop_class_uid=str(class_uid), sop_instance_uid=str(instance_uid)),
        )
        try:
            store = self._intakes[peer.tenant].store
            return self._on_loop(store.store(peer, instance)).result(), None
        except Exception:
            log.exception("dimse.unexpected_error")
            return FailureReason.PROCESSING_FAILURE, None

    def _act(
        self, peer: Peer, request: N_ACTION, context: PresentationContext, response: N_ACTION
    ) -> DueReport | None:
        """Take a request for storage commitment, and set the status of its response."""
        status, due = ActionStatus.PROCESSING_FAILURE, None
        commitments = self._intakes[peer.tenant].commitments
        try:
            asked = read_request(request, context.transfer_syntax[0])
            status, work = self._on_loop(commitments.accept(peer, asked)).result()
            if work is not None:
                report = self._on_loop(commitments.report(peer, asked))
                due = commitments.due(work, report)
        except ActionRefusedError as error:
            status = error.status
        except Exception:
            log.exception("dimse.unexpected_error")
        response.Status = status
        self._metrics.commitment_requests.labels(_label(status)).inc()
        return due

    def _take_report(self, report: N_EVENT_REPORT, context: PresentationContext) -> int:
        """Take an archive's report on storage commitment; return the status of the answer."""
        try:
            received = read_report(report, context.transfer_syntax[0])
            # Archives may serve several tenants; a Transaction UID is one's alone.
            is_known = any(intake.archives.take(received) for intake in self._intakes.values())
        except ActionRefusedError as error:
            return error.status
        except RadStreamError as error:
            log.warning("dimse.commitment_report_lost", **log_fields(error))
            return ActionStatus.PROCESSING_FAILURE
        except Exception:
            log.exception("dimse.unexpected_error")
            return ActionStatus.PROCESSING_FAILURE
        log.info("dimse.commitment_reported", known=is_known)
        return ActionStatus.SUCCESS if is_known else ActionStatus.INVALID_ARGUMENT

    def _end(self, association: ServedAssociation) -> None:
        with self._lock:
            self._open.pop(association, None)
        self._call(self._ended.set)

    def _on_loop(self, coroutine: Coroutine[object, object, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise

    def _call(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback)


def _reject(connection: socket.socket, rejection: Rejection) -> None:
    with suppress(OSError):
        connection.settimeout(_REJECTION_S)
        connection.sendall(rejection.pdu)
    connection.close()


def _label(status: int) -> str:
    return f"{status:04X}"
