import io
import json
import struct

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from gateway.retrieval.data_sets import (
    bulk_of,
    metadata_of,
    uncompressed_file,
    whole_file,
    with_window,
)
from preprocess import Limits, decode
from tests.preprocess import dicoms
from tests.support.dicom import file_of, radiograph


def metadata(data: bytes) -> dict:
    found = json.loads(metadata_of(data, "/bulk/{}".format))
    assert list(found) == sorted(found)
    return found


def test_texts_are_in_utf_8_whatever_the_file_has_them_in():
    found = metadata(file_of(radiograph(SpecificCharacterSet="ISO_IR 100", PatientName="Größe")))
    assert found["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert found["00100010"]["Value"] == [{"Alphabetic": "Größe"}]


def test_a_number_that_is_none_is_null():
    image = radiograph()
    image.add_new(0x00189073, "FD", [float("nan"), 1.5, float("inf")])
    assert metadata(file_of(image))["00189073"]["Value"] == [None, 1.5, None]


def test_a_value_that_cannot_be_understood_costs_no_other():
    data = file_of(radiograph(PatientWeight="70.5", Modality="DX"))
    found = metadata(data.replace(b"70.5", b"7x.5"))
    assert "00101030" not in found
    assert found["00080060"]["Value"] == ["DX"]


def test_short_binary_values_stand_in_the_metadata():
    image = radiograph()
    image.add_new(0x00090010, "LO", "RADSTREAM TEST")
    image.add_new(0x00091001, "OB", b"abcd")
    data = file_of(image)
    assert metadata(data)["00091001"]["InlineBinary"] == "YWJjZA=="
    assert bulk_of(data, 0x00091001) is None
    assert bulk_of(data, 0x00091002) is None


def test_a_file_without_a_preamble_gets_one():
    data = file_of(radiograph(PatientID="P1"))
    for bare in (data[132:], data[132 + 12 + struct.unpack("<I", data[140:144])[0] :]):
        whole = whole_file(bare)
        assert whole[128:132] == b"DICM"
        read = dcmread(io.BytesIO(whole))
        assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert (read.PatientID, read.PixelData) == ("P1", dcmread(io.BytesIO(data)).PixelData)
    assert whole_file(data) is data


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_uncompressed_files_are_made_explicit_vr_little_endian(syntax: str):
    samples = np.arange(12, dtype="<u2").reshape(3, 4)
    big = syntax.endswith(".2.2")
    image = radiograph(PatientID="P1")
    pixels = dicoms.image(samples.astype(">u2") if big else samples)
    for element in pixels:
        if element.tag.group in {0x0028, 0x7FE0}:
            image[element.tag] = element
    made = dcmread(io.BytesIO(uncompressed_file(dicoms.write(image, syntax), Limits())))
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (made.PixelData, made.PatientID, made.Rows) == (samples.tobytes(), "P1", 3)


def test_a_window_takes_the_place_of_the_lookup_table():
    image = radiograph(WindowCenter=["1", "2"], WindowWidth=["3", "4"])
    image.VOILUTSequence = [dicoms.lut([255] * 256, 0, 8)]
    [frame] = decode(with_window(file_of(image), 24.0, 2.0, "LINEAR_EXACT"), Limits())
    shares = frame.samples / frame.largest
    assert np.array_equal(shares.ravel() > 0.5, np.arange(48) >= 24)
