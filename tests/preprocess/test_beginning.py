"""DICOM files whose preamble, or whose file meta information, was lost."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from preprocess import (
    MediaType,
    UnrecognisedImageError,
    UnsupportedImageError,
    decode,
    measure,
    read_metadata,
    sniff,
)
from preprocess.beginning import Beginning, find_beginning
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp
from tests.preprocess.test_dataset import split

PIXELS = np.arange(1000, 1016, dtype=np.uint16).reshape(4, 4)


def file_in(syntax: str) -> bytes:
    return dicoms.write(
        dicoms.image(PIXELS, PatientID="P-1", WindowCenter=1007.5, WindowWidth=15), syntax
    )


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("kept", ["prefix and file meta", "file meta", "data set"])
def test_a_file_without_its_preamble_is_the_same_picture(syntax: str, kept: str):
    whole = file_in(syntax)
    data = {
        "prefix and file meta": whole[128:],
        "file meta": whole[132:],
        "data set": split(whole)[1],
    }[kept]
    assert sniff(data) is MediaType.DICOM
    assert measure(data) == measure(whole)
    np.testing.assert_array_equal(decode(data)[0].samples, decode(whole)[0].samples)
    metadata = read_metadata(data)
    assert (metadata.patient_id, metadata.transfer_syntax_uid) == ("P-1", syntax)
    assert (metadata.has_preamble, read_metadata(whole).has_preamble) == (False, True)


def test_compressed_frames_need_a_named_transfer_syntax():
    dataset = dicoms.compressed(ramp(4, 4), b"\xff\xd8\xff\xd9")
    body = split(dicoms.write(dataset, "1.2.840.10008.1.2.4.50"))[1]
    with pytest.raises(UnsupportedImageError, match="no file meta information"):
        decode(body)


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x08\x00\x16\x00\x00\x00\x04",  # implicit VR, big endian
        b"\x00\x02\x00\x10UI\x00\x04",  # file meta information in big endian
    ],
)
def test_what_no_transfer_syntax_allows_is_refused_by_words(head: bytes):
    data = head + bytes(100)
    assert sniff(data) is MediaType.DICOM
    for read in (measure, decode, read_metadata):
        with pytest.raises(UnsupportedImageError, match="big endian"):
            read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        b"\x08\x00\x16\x00",
        b"\x08\x00\x03\x00\x00\x00\x00\x00" + bytes(20),  # no tag of the standard
        b"\x08\x00\x00\x00" + bytes(20),  # a group length without a length
        b"\x08\x00\x16\x00\xff\xff\xff\xff" + bytes(20),  # neither a VR nor a length
        b"\x08\x00\x16\x00\x40\x00\x00\x00" + bytes(20),  # longer than the file
        b"\x10\x00\x20\x00LO\x02\x00P1" + bytes(20),  # group 0010
        b"DICM" + bytes(20),
        b"\xff\xd8\xff\xe0",
    ],
)
def test_other_beginnings_are_no_dicom(data: bytes):
    assert find_beginning(data) is None


def test_the_preamble_is_looked_for_first():
    # It is free: here it is itself the beginning of a data set.
    data = split(file_in(ImplicitVRLittleEndian))[1][:128] + b"DICM"
    assert find_beginning(data) == Beginning(132, has_preamble=True)


def test_another_format_is_still_none(radiograph: bytes):
    with pytest.raises(UnrecognisedImageError):
        read_metadata(radiograph)
