"""UIDs of instances, and the reasons for which one is not stored."""

import pytest

from gateway import errors
from gateway.errors import Fault, RadStreamError
from gateway.studies.dicom_instance import InstanceUids, failure_reason, is_uid
from preprocess import FileMeta

FAULTS = (Fault("instance", "is not as it should be"),)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.OverloadedError("studies"), 0xA700),
        (errors.DeadlineExceededError("accept"), 0xA700),
        (errors.ImagesTooLargeError(FAULTS), 0xA700),
        (errors.BodyTooLargeError(9), 0xA700),
        (errors.NoModelAcceptsError("MG", None, None, ()), 0x0122),
        (errors.UnsupportedImagesError(FAULTS), 0x0122),
        (errors.UnreadableImagesError(FAULTS), 0xC000),
        (errors.InvalidMetadataError(FAULTS), 0xC000),
        (errors.StudyConflictError(FAULTS), 0xC001),
        (errors.StudyBeingDeletedError(), 0x0110),
        (errors.StoreUnavailableError("ENOSPC"), 0x0110),
        (errors.BackendDiedError("gone"), 0x0110),
    ],
)
def test_reason_of_an_error(error: RadStreamError, reason: int) -> None:
    assert failure_reason(error) == reason


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "reason"),
    [("1.2.840.10008.1.2.4.110", 0xC122), ("1.2.840.10008.1.2.1", 0x0122), (None, 0x0122)],
)
def test_a_transfer_syntax_that_is_not_read_is_told_apart(
    transfer_syntax_uid: str | None, reason: int
) -> None:
    assert failure_reason(errors.UnsupportedImagesError(FAULTS), transfer_syntax_uid) == reason


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("1.2.840.10008.5.1.4.1.1.1", True),
        ("0", True),
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),
        ("1..2", False),
        ("1.2.", False),
        (".1", False),
        ("1.2/../3", False),
        ("1.2\\1.3", False),
        ("1.2\n", False),
        ("", False),
    ],
)
def test_what_is_a_uid(text: str, *, taken: bool) -> None:
    assert is_uid(text) is taken
    assert InstanceUids.of_file_meta(FileMeta("1.2", text)).is_identified() is taken


def test_uids_are_held_to_what_is_expected_of_them() -> None:
    uids = InstanceUids("1.1", "1.2", "1.3", None)
    assert uids.contradictions(InstanceUids(sop_instance_uid="1.2")) == ()
    expected = InstanceUids("1.1", "1.9", "1.3", "1.4")
    assert uids.contradictions(expected) == ("sop_instance_uid", "series_instance_uid")
