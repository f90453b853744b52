import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from preprocess import (
    CorruptImageError,
    Limits,
    PreprocessError,
    UnsupportedImageError,
    decode,
    measure,
    read_metadata,
)
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"


def split(data: bytes) -> tuple[bytes, bytes]:
    """File meta information with its preamble, and the data set."""
    (length,) = struct.unpack("<I", data[140:144])
    return data[: 144 + length], data[144 + length :]


def head(syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    return split(dicoms.write(dicoms.image(ramp(4, 4)), syntax))[0]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def refused(data: bytes) -> None:
    for function in (decode, measure, read_metadata):
        with pytest.raises(PreprocessError):
            function(data)


def peak_of(function) -> int:
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_deflate_bomb_stops_at_its_limit():
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = head(DEFLATED) + bomb.compress(bytes(400 << 20)) + bomb.flush()
    assert len(data) < 500_000

    def attempt() -> None:
        with pytest.raises(UnsupportedImageError, match="grows beyond 16777216 bytes"):
            decode(data, Limits(inflated_bytes=16 << 20))

    assert peak_of(attempt) < 50 << 20


def test_damaged_deflate_stream_is_refused():
    meta, body = split(dicoms.write(dicoms.image(np.tile(ramp(40, 40), (9, 9))), DEFLATED))
    refused(meta + b"\xff" * 50 + body)
    with pytest.raises(PreprocessError):
        decode(meta + body[: len(body) // 2])


def test_millions_of_elements_are_not_parsed():
    junk = element(0x0009, 0x0001, b"LO", b"") * 1_000_000
    with pytest.raises(CorruptImageError, match="too many elements"):
        read_metadata(head() + junk)


@pytest.mark.parametrize("depth", [50, 100_000])
def test_nested_sequences_of_undefined_length(depth):
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    data = head() + opening * depth + closing * depth
    if depth == 50:
        assert not read_metadata(data).has_pixel_data
    else:
        refused(data)


def test_nested_sequences_in_an_attribute_that_is_read():
    nested = b""
    for _ in range(2000):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(nested)) + nested
        nested = struct.pack("<HH2sHI", 0x0028, 0x3000, b"SQ", 0, len(item)) + item
    data = dicoms.write(dicoms.image(ramp(4, 4)))
    at = data.index(b"\xe0\x7f\x10\x00")
    (frame,) = decode(data[:at] + nested + data[at:])
    assert frame.samples.tolist() == ramp(4, 4).tolist()
    assert frame.warnings == (
        "Modality LUT Sequence (0028,3000) is not usable and was taken as absent",
    )


def test_oversized_sequence_is_not_parsed():
    dataset = dicoms.image(ramp(4, 4), VOILUTSequence=[dicoms.lut([0, 1], 0, 16)])
    dataset.VOILUTSequence[0].LUTData = bytes(2 << 20)
    with pytest.raises(CorruptImageError, match="VOILUTSequence is too long"):
        decode(dicoms.write(dataset))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x08",
        b"\x08\x00\x16\x00",
        b"\x08\x00\x16\x00UI\xff\xff",
        b"\x08\x00\x16\x00SQ\x00\x00\xff\xff\xff\xff",
        b"\x08\x00\x05\x00CS\x04\x00\xff\xfe\xfd\xfc",
        b"\xfe\xff\x0d\xe0\x00\x00\x00\x00" * 3,
        b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff",
        b"\xe0\x7f\x10\x00OW\x00\x00\xff\xff\xff\x7f",
        b"\x00" * 1000,
        b"\xff" * 1000,
    ],
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT, DEFLATED])
def test_malformed_bodies_give_typed_errors(body, syntax):
    for function in (decode, measure):
        with pytest.raises(PreprocessError):
            function(head(syntax) + body)


def test_missing_transfer_syntax_is_refused():
    refused(bytes(128) + b"DICM" + split(dicoms.write(dicoms.image(ramp(4, 4))))[1])


def test_meta_group_without_its_length_is_read():
    meta, body = split(dicoms.write(dicoms.image(ramp(4, 4))))
    np.testing.assert_array_equal(decode(meta[:132] + meta[144:] + body)[0].samples, ramp(4, 4))


def test_pixels_are_not_copied_to_read_attributes():
    data = dicoms.write(dicoms.image(np.zeros((4000, 4000), np.uint8)))
    assert peak_of(lambda: read_metadata(data)) < 1_000_000
    assert peak_of(lambda: measure(data)) < 1_000_000


def test_millions_of_empty_fragments_are_not_joined():
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_000_000
    whole = dicoms.write(dicoms.compressed(ramp(4, 4), b"\xff\xd8"), "1.2.840.10008.1.2.4.50")
    at = whole.index(b"\xfe\xff\x00\xe0")
    with pytest.raises(CorruptImageError, match="too many elements"):
        decode(whole[:at] + items)


def test_endless_text_is_refused():
    dataset = dicoms.image(ramp(4, 4))
    dataset.add_new("AccessionNumber", "UT", "7" * 5000)
    with pytest.raises(CorruptImageError, match="AccessionNumber is too long"):
        read_metadata(dicoms.write(dataset))


# The length of Pixel Data.


def with_pixel_length(data: bytes, length: int, *, little_endian: bool = True) -> bytes:
    """The file with another length at its Pixel Data, in explicit VR."""
    tag = b"\xe0\x7f\x10\0OW\0\0" if little_endian else b"\x7f\xe0\0\x10OW\0\0"
    at = data.index(tag) + 8
    return data[:at] + length.to_bytes(4, "little" if little_endian else "big") + data[at + 4 :]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_uncompressed_pixels_of_undefined_length_are_refused(syntax):
    little_endian = syntax != "1.2.840.10008.1.2.2"
    whole = dicoms.write(dicoms.image(ramp(4, 4)), syntax)
    data = with_pixel_length(whole, 0xFFFFFFFF, little_endian=little_endian)
    with pytest.raises(CorruptImageError) as caught:
        decode(data)
    assert caught.value.reason == (
        "uncompressed Pixel Data has an undefined length, which only compressed frames may have"
    )
    with pytest.raises(CorruptImageError, match="undefined length"):
        decode(data + b"\xfe\xff\xdd\xe0\0\0\0\0")  # and its delimiter


def test_uncompressed_pixels_of_undefined_length_are_refused_in_implicit_vr():
    whole = dicoms.write(dicoms.image(ramp(4, 4)), IMPLICIT)
    at = whole.index(b"\xe0\x7f\x10\0\x10\0\0\0") + 4
    with pytest.raises(CorruptImageError, match="undefined length"):
        decode(whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :])


def test_uncompressed_pixels_of_undefined_length_are_refused_in_a_deflated_data_set():
    before, dataset = split(dicoms.write(dicoms.image(ramp(4, 4)), DEFLATED))
    plain = with_pixel_length(zlib.decompress(dataset, -15), 0xFFFFFFFF)
    deflater = zlib.compressobj(wbits=-15)
    with pytest.raises(CorruptImageError, match="undefined length"):
        decode(before + deflater.compress(plain) + deflater.flush())


@pytest.mark.parametrize("length", [18, 32, 0x7FFFFFFE, 0xFFFFFFFE])
def test_uncompressed_pixels_that_end_before_their_length_are_refused(length):
    data = with_pixel_length(dicoms.write(dicoms.image(ramp(4, 4))), length)
    with pytest.raises(CorruptImageError):
        decode(data)


ID = (0x0010, 0x0020, b"LO")
CHARACTER_SET = (0x0008, 0x0005, b"CS")


@pytest.mark.parametrize(
    ("first", "second", "keyword"),
    [
        (element(*ID, b"A-17"), element(*ID, b"B-17"), "PatientID"),
        (element(*ID, b"A-17"), element(*ID, b""), "PatientID"),
        (
            element(*CHARACTER_SET, b"ISO_IR 100"),
            element(*CHARACTER_SET, b"ISO_IR 192"),
            "SpecificCharacterSet",
        ),
    ],
)
def test_two_values_of_an_attribute_are_refused(first, second, keyword):
    start, body = split(dicoms.write(dicoms.image(ramp(4, 4))))
    for data in (start + first + second + body, start + first + body[:60] + second + body[60:]):
        with pytest.raises(CorruptImageError) as caught:
            read_metadata(data)
        assert caught.value.reason == f"the data set has two values of {keyword}"


def test_two_values_of_the_number_of_rows_are_refused():
    start, body = split(dicoms.write(dicoms.image(ramp(8, 4))))
    rows = element(0x0028, 0x0010, b"US", struct.pack("<H", 4))
    with pytest.raises(CorruptImageError, match="two values of Rows"):
        decode(start + rows + body)


def test_the_same_value_twice_is_taken():
    start, body = split(dicoms.write(dicoms.image(ramp(4, 4))))
    assert read_metadata(start + 2 * element(*ID, b"A-17") + body).patient_id == "A-17"


def test_empty_element_of_an_unknown_vr_is_refused():
    data = dicoms.write(dicoms.image(ramp(4, 4)))
    at = data.index(b"\x28\0\x03\1US\2\0")
    with pytest.raises(CorruptImageError) as caught:
        decode(data[:at] + b"\x28\0\x03\1U\0\0\0" + data[at + 10 :])
    assert caught.value.reason == "the DICOM data set cannot be parsed"
