"""Instances on their way from an association to the store, on the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.access.callers import CallerKind
from gateway.audit.trail import Act, begin
from gateway.deferred.dicom_store import InstanceSender
from gateway.errors import AuditUnavailableError, RadStreamError
from gateway.observability.library_warnings import one_event
from gateway.results.instances import InstancePointer
from gateway.runtime.deadline import Deadline
from gateway.schemas.audit import AuditAction, AuditOutcome
from gateway.studies.dicom_instance import FailureReason, InstanceUids, failure_reason
from gateway.studies.study import Route

if TYPE_CHECKING:
    from gateway.access.callers import Caller
    from gateway.admission.admission import Admission
    from gateway.audit.trail import Audit
    from gateway.deferred.dicom_store import DicomStore
    from gateway.deferred.submissions import Accepted
    from gateway.dimse.data_sets import ReceivedDataSet
    from gateway.results.instances import Instances
    from gateway.schemas.routing import Sender

log = structlog.get_logger()

_STORE, _ASSOCIATE = "C-STORE", "A-ASSOCIATE"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of an association.

    Parameters
    ----------
    caller
        None where it is not known, and therefore rejected.
    address
        Its IP address.
    request_id
        Stands for the association in the log and the audit trail.
    sender
        Its entry in the routing document; None where whoever reaches the listener may send.
    """

    caller: Caller | None
    address: str
    request_id: str
    sender: Sender | None = None

    @property
    def tenant(self) -> str | None:
        """Return the tenant that it sends for; None where there are no tenants."""
        return None if self.sender is None else self.sender.tenant

    @property
    def corrects_identity(self) -> bool:
        """Return True if it may correct the identity of a study."""
        return self.sender is not None and self.sender.corrects_identity

    @property
    def may_ask_for_commitment(self) -> bool:
        """Return True if its requests for storage commitment are answered."""
        return self.sender is None or self.sender.storage_commitment is not None

    @property
    def takes_reports(self) -> bool:
        """Return True if it takes reports on associations that the gateway asks for."""
        reports = None if self.sender is None else self.sender.storage_commitment
        return reports is not None and reports.port is not None

    @property
    def share(self) -> str:
        """The share of the gateway that its instances count against."""
        if self.caller is None or self.caller.kind is CallerKind.ANONYMOUS:
            return f"address {self.address}"
        return f"{self.caller.kind} {self.caller.name}"


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """An instance as it came.

    Parameters
    ----------
    head
        File Meta Information to put before the data set.
    data_set
        The data set.
    uids
        UIDs that the command set has.
    """

    head: bytes
    data_set: ReceivedDataSet
    uids: InstanceUids


class InstanceStore:
    """Stores instances of peers, and puts it on record.

    Parameters
    ----------
    store
        Makes an instance durable.
    admission
        Gives room for its bytes.
    audit
        The audit trail.
    instances
        Finds the instances of those who may ask for storage commitment again.
    timeout_s
        Seconds that an instance waits for room.
    """

    def __init__(
        self,
        store: DicomStore,
        *,
        admission: Admission,
        audit: Audit,
        instances: Instances,
        timeout_s: float,
    ) -> None:
        self._store = store
        self._instances = instances
        self._admission = admission
        self._audit = audit
        self._timeout_s = timeout_s

    async def store(self, peer: Peer, instance: ReceivedInstance) -> FailureReason | None:
        """Return once the instance is durable and on record: None, or why it is not stored."""
        with (
            structlog.contextvars.bound_contextvars(request_id=peer.request_id),
            one_event(),
        ):
            act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
            begin(act)
            failure = await self._stored(peer, instance)
            outcome = AuditOutcome.SUCCESS if failure is None else AuditOutcome.FAILED
            try:
                await self._audit.record(act, _STORE, AuditAction.CREATE, outcome)
            except AuditUnavailableError:  # told by `record`; sent again, it is the same instance
                return FailureReason.OUT_OF_RESOURCES
            return failure

    async def record_association(self, peer: Peer, *, accepted: bool) -> None:
        """Put on record that an association was accepted or rejected."""
        act = Act(caller=peer.caller, address=peer.address, request_id=peer.request_id)
        outcome = AuditOutcome.SUCCESS if accepted else AuditOutcome.REFUSED
        try:
            await self._audit.record(act, _ASSOCIATE, AuditAction.EXECUTE, outcome)
        except AuditUnavailableError:  # told by `record`; no instance is answered meanwhile
            return

    async def _stored(self, peer: Peer, instance: ReceivedInstance) -> FailureReason | None:
        size = len(instance.head) + instance.data_set.size
        label = "unknown" if peer.caller is None else peer.caller.label
        try:
            with self._admission.slot(peer.share) as slot:
                async with Deadline.after(self._timeout_s).bounds("admission"):
                    await slot.wait_for_bytes(size)
                data = await asyncio.to_thread(instance.data_set.file, instance.head)
                sender = InstanceSender(Route.DIMSE, label, peer.share, peer.corrects_identity)
                outcome = await self._store.store(data, sender, instance.uids)
                if outcome.accepted is not None and peer.may_ask_for_commitment:
                    await self._point(outcome.uids, outcome.accepted)
                return outcome.failure
        except RadStreamError as error:
            return failure_reason(error)
        except OSError as error:
            log.warning("dimse.instance_lost", error=error.strerror)
            return FailureReason.OUT_OF_RESOURCES

    async def _point(self, uids: InstanceUids, accepted: Accepted) -> None:
        pointer = InstancePointer(
            study_id=accepted.work.study_id,
            sop_class_uid=uids.sop_class_uid or "",
            submission_id=accepted.work.id,
        )
        await self._instances.add(uids.sop_instance_uid or "", pointer)
