"""Store of DICOM instances: success once one is durable, whatever becomes of its reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    Fault,
    InvalidMetadataError,
    OverloadedError,
    RadStreamError,
    UnreadableImagesError,
    log_fields,
)
from gateway.runtime.deadline import Deadline
from gateway.studies.dicom_instance import FailureReason, InstanceUids, failure_reason
from gateway.studies.process import Received, StudySource, Turn

if TYPE_CHECKING:
    from gateway.admission.admission import Slot
    from gateway.deferred.submissions import Accepted, Submissions
    from gateway.studies.imaging import Imaging
    from gateway.studies.process import StudyProcessor
    from gateway.studies.study import Route

log = structlog.get_logger()

_PART = "instance"
_ANY = InstanceUids()
_UNIDENTIFIED = "has no SOP Class UID (0008,0016) or no SOP Instance UID (0008,0018)"
_CONTRADICTS = "contradicts what the request says of the instance"


@dataclass(frozen=True, slots=True)
class InstanceSender:
    """The sender of instances.

    Parameters
    ----------
    route, caller, share, corrects
        See `StudySource`.
    """

    route: Route
    caller: str
    share: str
    corrects: bool = False


@dataclass(frozen=True, slots=True)
class InstanceOutcome:
    """Outcome of an instance.

    Parameters
    ----------
    uids
        As far as they can be read.
    accepted
        The submission that keeps it; None where it is not stored.
    failure, error
        The reason why it is not stored, and the error behind it; None where it is.
    """

    uids: InstanceUids
    accepted: Accepted | None = None
    failure: FailureReason | None = None
    error: RadStreamError | None = None


class DicomStore:
    """The intake of instances, each for its own study, which is processed later.

    Parameters
    ----------
    studies, submissions
        The use case, and the intake of studies that are processed later.
    imaging
        Reads headers, off the event loop.
    timeout_s
        Seconds that an instance may take once its bytes are there, the wait for a place included.
    keep_unaccepted
        See `Submissions.accept`.
    """

    def __init__(
        self,
        studies: StudyProcessor,
        submissions: Submissions,
        imaging: Imaging,
        *,
        timeout_s: float,
        keep_unaccepted: bool = False,
    ) -> None:
        self._studies = studies
        self._submissions = submissions
        self._imaging = imaging
        self._timeout_s = timeout_s
        self._keep_unaccepted = keep_unaccepted

    async def store(
        self,
        data: bytes | memoryview,
        sender: InstanceSender,
        expected: InstanceUids = _ANY,
    ) -> InstanceOutcome:
        """Return once the instance is durable, or is known not to be stored.

        Parameters
        ----------
        data
            The DICOM file (PS3.10); the caller holds its bytes in a slot of the admission.
        expected
            UIDs that the request names elsewhere: in its path, or in its command set.
        """
        uids = InstanceUids()
        try:
            header = await self._imaging.dicom_metadata(_PART, data)
            if header is None:
                raise UnreadableImagesError((Fault(_PART, "is no DICOM file"),))
            uids = InstanceUids.of_data_set(header)
            if not uids.is_identified():
                raise InvalidMetadataError((Fault(_PART, _UNIDENTIFIED),))
            if faults := [Fault(name, _CONTRADICTS) for name in uids.contradictions(expected)]:
                error = InvalidMetadataError(tuple(faults))
                return _refused(sender, uids, error, FailureReason.DATA_SET_MISMATCH)
            accepted = await self._accept(data, sender)
        except RadStreamError as error:
            if uids.is_identified():
                return _refused(sender, uids, error, failure_reason(error))
            return await self.refuse(data, sender, error)
        return InstanceOutcome(uids, accepted)

    async def refuse(
        self, beginning: bytes | memoryview, sender: InstanceSender, error: RadStreamError
    ) -> InstanceOutcome:
        """Return the outcome of an instance that is not taken, known by its beginning alone."""
        meta = await self._imaging.file_meta(beginning)
        reason = failure_reason(error, meta.transfer_syntax_uid)
        return _refused(sender, InstanceUids.of_file_meta(meta), error, reason)

    async def _accept(self, data: bytes | memoryview, sender: InstanceSender) -> Accepted:
        async def receive(_slot: Slot) -> Received:
            return Received(None, [(_PART, data)])

        # In line: a sender of hundreds of instances is slowed down before any of them fails.
        source = StudySource(
            sender.route,
            sender.caller,
            sender.share,
            Turn.IN_LINE,
            receive,
            corrects=sender.corrects,
        )
        deadline = Deadline.after(self._timeout_s)
        async with (
            deadline.bounds("accept"),
            self._studies.admitted(source, deadline) as study,
        ):
            return await self._submissions.accept(
                study, None, keep_unaccepted=self._keep_unaccepted
            )


def _refused(
    sender: InstanceSender, uids: InstanceUids, error: RadStreamError, reason: FailureReason
) -> InstanceOutcome:
    if not isinstance(error, OverloadedError):  # counted where it is raised
        log.info(
            "instance.refused",
            route=sender.route,
            failure_reason=f"{reason:04X}",
            **log_fields(error),
        )
    return InstanceOutcome(uids, None, reason, error)
