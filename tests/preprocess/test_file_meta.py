"""What a file says of itself before its data set, whatever comes after it."""

import pytest

from preprocess import FileMeta, read_file_meta
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

CR = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT, MPEG2 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.100"
SMALL = dicoms.image(ramp(4, 6))


def test_the_uids_of_a_file() -> None:
    assert read_file_meta(dicoms.write(SMALL)) == FileMeta(CR, "1.2.3.4", EXPLICIT)


def test_a_transfer_syntax_that_is_not_taken_hides_no_uid() -> None:
    data = dicoms.write(dicoms.compressed(ramp(4, 6), b"\0\0\1\xb3"), MPEG2)
    assert read_file_meta(data) == FileMeta(CR, "1.2.3.4", MPEG2)


def test_a_data_set_that_is_garbage_hides_no_uid() -> None:
    whole = dicoms.write(SMALL)
    beginning = whole[: whole.index(b"\x08\0\x16\0")]
    assert read_file_meta(beginning + b"\xff" * 999).sop_instance_uid == "1.2.3.4"


@pytest.mark.parametrize(
    "data",
    [b"", b"text" * 100, bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 99],
    ids=["nothing", "text", "preamble alone", "garbage"],
)
def test_what_names_nothing(data: bytes) -> None:
    assert read_file_meta(data) == FileMeta()


def test_a_data_set_without_file_meta_information_names_nothing() -> None:
    whole = dicoms.write(SMALL)
    assert read_file_meta(whole[whole.index(b"\x08\0\x16\0") :]) == FileMeta()
