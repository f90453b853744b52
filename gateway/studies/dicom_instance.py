"""DICOM instances as C-STORE and STOW-RS know them: their UIDs, and reasons not to store one."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING

from gateway import errors
from preprocess import TAKEN_TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from preprocess import DicomMetadata, FileMeta

# Components with leading zeros are met in the field, and tell instances apart as well as others.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST_UID = 64


class FailureReason(IntEnum):
    """Status of a C-STORE response, and Failure Reason (0008,1197) of STOW-RS.

    References
    ----------
    DICOM PS3.4, B.2.3; PS3.18, I.2.2. A reason in Cxxx means that the data set is not understood;
    the standard leaves its last digits to the receiver.
    """

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    IDENTITY_CONFLICT = 0xC001
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


# What is not named here is a processing failure: it may go well when it is sent again.
_REASONS: dict[type[errors.RadStreamError], FailureReason] = {
    errors.OverloadedError: FailureReason.OUT_OF_RESOURCES,
    errors.QuotaExceededError: FailureReason.OUT_OF_RESOURCES,
    errors.StudyBacklogFullError: FailureReason.OUT_OF_RESOURCES,
    errors.DeadlineExceededError: FailureReason.OUT_OF_RESOURCES,
    errors.BodyTooLargeError: FailureReason.OUT_OF_RESOURCES,
    errors.ImagesTooLargeError: FailureReason.OUT_OF_RESOURCES,
    errors.UnsupportedImagesError: FailureReason.SOP_CLASS_NOT_SUPPORTED,
    errors.NoModelAcceptsError: FailureReason.SOP_CLASS_NOT_SUPPORTED,
    errors.KeptOutError: FailureReason.SOP_CLASS_NOT_SUPPORTED,
    errors.NoRuleError: FailureReason.SOP_CLASS_NOT_SUPPORTED,
    errors.UnreadableImagesError: FailureReason.CANNOT_UNDERSTAND,
    errors.ImagesWithoutContrastError: FailureReason.CANNOT_UNDERSTAND,
    errors.InvalidMetadataError: FailureReason.CANNOT_UNDERSTAND,
    errors.MalformedRequestError: FailureReason.CANNOT_UNDERSTAND,
    errors.StudyConflictError: FailureReason.IDENTITY_CONFLICT,
}


@dataclass(frozen=True, slots=True)
class InstanceUids:
    """UIDs of an instance; None where one is unknown or no UID.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid
        (0008,0016), (0008,0018), (0020,000D), (0020,000E).
    """

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None

    @classmethod
    def of_data_set(cls, header: DicomMetadata) -> InstanceUids:
        """Return the UIDs that a data set has."""
        return cls(
            _usable(header.sop_class_uid),
            _usable(header.sop_instance_uid),
            _usable(header.study_instance_uid),
            _usable(header.series_instance_uid),
        )

    @classmethod
    def of_file_meta(cls, meta: FileMeta) -> InstanceUids:
        """Return the UIDs that a file names before its data set."""
        return cls(_usable(meta.sop_class_uid), _usable(meta.sop_instance_uid))

    def is_identified(self) -> bool:
        """Return whether an answer can say which instance is meant."""
        return self.sop_class_uid is not None and self.sop_instance_uid is not None

    def contradictions(self, expected: InstanceUids) -> tuple[str, ...]:
        """Return the names of UIDs that differ from what is expected; None there takes any."""
        names = (field.name for field in fields(self))
        return tuple(
            name for name in names if getattr(expected, name) not in {None, getattr(self, name)}
        )


NO_UIDS = InstanceUids()


def is_uid(text: str) -> bool:
    """Return whether a text is a UID by its characters and its length (PS3.5, section 9.1)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def failure_reason(
    error: errors.RadStreamError, transfer_syntax_uid: str | None = None
) -> FailureReason:
    """Return the reason that a sender is given for an error.

    Parameters
    ----------
    transfer_syntax_uid
        Of the instance, where it is known.
    """
    if isinstance(error, errors.UnsupportedImagesError) and (
        transfer_syntax_uid is not None and transfer_syntax_uid not in TAKEN_TRANSFER_SYNTAXES
    ):
        return FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED
    for ancestor in type(error).__mro__:
        if ancestor in _REASONS:
            return _REASONS[ancestor]
    return FailureReason.PROCESSING_FAILURE


def _usable(text: str | None) -> str | None:
    return text if text is not None and is_uid(text) else None
