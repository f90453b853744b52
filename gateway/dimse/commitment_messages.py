"""Data sets of storage commitment: the Action Information of a request, the report on it.

References
----------
DICOM PS3.4, J.3; PS3.7, annex C for the statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import sop_class
from pynetdicom.dsutils import decode, encode

from gateway.delivery.storage_commitment import ReceivedReport
from gateway.dimse.data_sets import ReceivedDataSet
from gateway.studies.dicom_instance import is_uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.uid import UID
    from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT

T = TypeVar("T")

PUSH_MODEL = str(sop_class.StorageCommitmentPushModel)  # type: ignore[attr-defined]
PUSH_MODEL_INSTANCE = str(sop_class.StorageCommitmentPushModelInstance)
REQUEST_COMMITMENT = 1
# More would keep an association's answer waiting, and a study of them is hardly a radiograph.
MOST_REFERENCES = 10_000
_MOST_BYTES = 8 * 2**20


class ActionStatus(IntEnum):
    """Status of the response to an N-ACTION."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT = 0x0115
    NO_SUCH_CLASS = 0x0118
    NO_SUCH_ACTION = 0x0123
    RESOURCE_LIMITATION = 0x0213


class CommitmentFailure(IntEnum):
    """Failure Reason (0008,1197) of an instance that is not committed."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


class EventType(IntEnum):
    """Event Type ID (0000,1002) of a report."""

    ALL_COMMITTED = 1
    FAILURES_EXIST = 2


class Reference(NamedTuple):
    """An instance, as a request names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """A request for storage commitment.

    Parameters
    ----------
    transaction_uid
        Of the sender's; the report names it.
    references
        The instances.
    """

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """A report on a request.

    Parameters
    ----------
    transaction_uid
        Of the request.
    committed, failed
        The instances, the latter with the reason.
    """

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, CommitmentFailure], ...]

    @property
    def event_type(self) -> EventType:
        """The kind of event that it tells of."""
        return EventType.FAILURES_EXIST if self.failed else EventType.ALL_COMMITTED

    def information(self) -> Dataset:
        """Return the Event Information."""
        dataset = Dataset()
        dataset.TransactionUID = self.transaction_uid
        if self.failed:
            dataset.FailedSOPSequence = Sequence(
                _item(reference, FailureReason=int(reason)) for reference, reason in self.failed
            )
        if self.committed:
            dataset.ReferencedSOPSequence = Sequence(map(_item, self.committed))
        return dataset


class ActionRefusedError(Exception):
    """An N-ACTION that asks for no storage commitment, or for too much; a report that is none."""

    def __init__(self, status: ActionStatus) -> None:
        super().__init__(status.name)
        self.status = status


def read_request(action: N_ACTION, transfer_syntax: UID) -> CommitmentRequest:
    """Return the request that an N-ACTION makes.

    Raises
    ------
    ActionRefusedError
    """
    if action.RequestedSOPClassUID != PUSH_MODEL:
        raise ActionRefusedError(ActionStatus.NO_SUCH_CLASS)
    if action.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        raise ActionRefusedError(ActionStatus.NO_SUCH_INSTANCE)
    if action.ActionTypeID != REQUEST_COMMITMENT:
        raise ActionRefusedError(ActionStatus.NO_SUCH_ACTION)
    return _read(action.ActionInformation, transfer_syntax, _request)


def read_report(report: N_EVENT_REPORT, transfer_syntax: UID) -> ReceivedReport:
    """Return what the report of an archive says.

    Raises
    ------
    ActionRefusedError
    """
    if report.AffectedSOPClassUID != PUSH_MODEL:
        raise ActionRefusedError(ActionStatus.NO_SUCH_CLASS)
    received = _read(report.EventInformation, transfer_syntax, ReceivedReport.of)
    if not received.transaction_uid:
        raise ActionRefusedError(ActionStatus.NO_SUCH_ARGUMENT)
    return received


def _read(information: object, transfer_syntax: UID, take: Callable[[Dataset], T]) -> T:
    if not isinstance(information, ReceivedDataSet):
        raise ActionRefusedError(ActionStatus.NO_SUCH_ARGUMENT)
    if information.size > _MOST_BYTES or information.is_too_large or information.fault is not None:
        raise ActionRefusedError(ActionStatus.RESOURCE_LIMITATION)
    try:
        return take(_decoded(information, transfer_syntax))
    except ActionRefusedError:
        raise
    except Exception as error:  # whatever the decoder meets in a peer's bytes
        raise ActionRefusedError(ActionStatus.INVALID_ARGUMENT) from error


def encoded(report: CommitmentReport, transfer_syntax: UID) -> bytes:
    """Return the Event Information in a transfer syntax.

    Raises
    ------
    ValueError
        It cannot be encoded, which no UID that was checked leads to.
    """
    data = encode(
        report.information(), transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian
    )
    if data is None:
        raise ValueError("the report cannot be encoded")
    return data


def _decoded(information: ReceivedDataSet, transfer_syntax: UID) -> Dataset:
    return decode(
        BytesIO(information.file(b"")),
        transfer_syntax.is_implicit_VR,
        transfer_syntax.is_little_endian,
    )


def _request(dataset: Dataset) -> CommitmentRequest:
    items = dataset.get("ReferencedSOPSequence")
    if "TransactionUID" not in dataset or not items:
        raise ActionRefusedError(ActionStatus.NO_SUCH_ARGUMENT)
    if len(items) > MOST_REFERENCES:
        raise ActionRefusedError(ActionStatus.RESOURCE_LIMITATION)
    references = tuple(
        Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))
        for item in items
    )
    return CommitmentRequest(_uid(dataset, "TransactionUID"), references)


def _item(reference: Reference, **rest: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    for keyword, value in rest.items():
        setattr(item, keyword, value)
    return item


def _uid(dataset: Dataset, keyword: str) -> str:
    text = str(dataset.get(keyword, ""))
    if not is_uid(text):
        raise ActionRefusedError(ActionStatus.INVALID_ARGUMENT)
    return text
