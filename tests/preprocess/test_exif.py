"""Exif Orientation, in every form that a TIFF entry may give a small number."""

import math
import struct

import numpy as np
import pytest

from preprocess import decode, measure
from preprocess.exif import read_orientation
from tests.preprocess import pngs

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, SSHORT, SLONG = 1, 2, 3, 4, 5, 6, 8, 9
SRATIONAL, FLOAT, DOUBLE = 10, 11, 12
FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", SBYTE: "b", SSHORT: "h", SLONG: "i"}
FORMATS |= {RATIONAL: "I", SRATIONAL: "i", FLOAT: "f", DOUBLE: "d"}
ORDERS = {"<": b"II*\0", ">": b"MM\0*"}


def block(order: str, kind: int, values: tuple[int, ...], count: int | None = None) -> bytes:
    """A TIFF structure of one directory, whose second entry is Orientation."""
    packed = struct.pack(f"{order}{len(values)}{FORMATS.get(kind, 'B')}", *values)
    directory = 8
    after = directory + 2 + 2 * 12 + 4
    if len(packed) > 4:
        field, behind = struct.pack(order + "I", after), packed
    else:
        field, behind = packed.ljust(4, b"\0"), b""
    entries = struct.pack(order + "HHII", 0x0100, LONG, 1, 5)
    entries += struct.pack(order + "HHI", 0x0112, kind, len(values) if count is None else count)
    head = ORDERS[order] + struct.pack(order + "I", directory)
    return head + struct.pack(order + "H", 2) + entries + field + bytes(4) + behind


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_integer_type_is_read(order: str, kind: int, orientation: int):
    assert read_orientation(block(order, kind, (orientation,))) == orientation


@pytest.mark.parametrize("more", [(0,), (3,), (0, 0), (1, 2, 3, 4, 5, 6, 7)])
@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_first_of_several_values_counts(order: str, kind: int, more: tuple[int, ...]):
    # More than four bytes stand behind the directory, at the offset that the entry gives.
    assert read_orientation(block(order, kind, (6, *more))) == 6


@pytest.mark.parametrize("value", [0, 9, 255])
@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
def test_other_numbers_leave_the_picture_as_it_is(kind: int, value: int):
    assert read_orientation(block("<", kind, (value,))) == 1


@pytest.mark.parametrize("value", [65536 + 6, 256 + 6, 6 << 24])
def test_no_part_of_a_greater_number_is_taken(value: int):
    assert read_orientation(block("<", LONG, (value,))) == 1


@pytest.mark.parametrize("kind", [0, ASCII, 7, 13, 60000])
def test_other_types_leave_the_picture_as_it_is(kind: int):
    assert read_orientation(block("<", kind, (6,))) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_fractions_are_read(order: str, orientation: int):
    for values, kind in (((3 * orientation, 3), RATIONAL), ((orientation, 1), SRATIONAL)):
        assert read_orientation(block(order, kind, values, count=1)) == orientation
    for kind in (FLOAT, DOUBLE):
        assert read_orientation(block(order, kind, (orientation,))) == orientation


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (RATIONAL, (6, 0)),
        (RATIONAL, (13, 2)),
        (SRATIONAL, (-6, 1)),
        (FLOAT, (6.5,)),
        (DOUBLE, (math.inf,)),
        (DOUBLE, (math.nan,)),
    ],
)
def test_fractions_and_what_is_no_number_leave_the_picture_as_it_is(kind: int, values: tuple):
    assert read_orientation(block("<", kind, values, count=1)) == 1


def test_the_first_exif_segment_of_a_jpeg_counts(radiograph: bytes):
    upright = decode(radiograph)[0].samples
    without = block("<", SHORT, (6,)).replace(b"\x12\x01", b"\x28\x01")
    for second in (without, block("<", SHORT, (3,))):
        data = jpeg_with(block("<", SHORT, (6,)), jpeg_with(second, radiograph))
        np.testing.assert_array_equal(decode(data)[0].samples, np.rot90(upright, -1))


def test_no_values_and_values_beyond_the_block_leave_the_picture_as_it_is():
    assert read_orientation(block("<", SHORT, (6,), count=0)) == 1
    assert read_orientation(block("<", LONG, (6,), count=1 << 31)) == 1


def jpeg_with(exif: bytes, radiograph: bytes) -> bytes:
    body = b"Exif\0\0" + exif
    return radiograph[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body + radiograph[2:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_jpeg_whose_orientation_is_a_long_is_turned(order: str, radiograph: bytes):
    upright = decode(radiograph)[0].samples
    data = jpeg_with(block(order, LONG, (6,)), radiograph)
    np.testing.assert_array_equal(decode(data)[0].samples, np.rot90(upright, -1))
    header = measure(data)
    assert (header.rows, header.columns) == (984, 712)


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_png_whose_orientation_is_a_long_is_turned(order: str, prefix: bytes):
    samples = pngs.ramp(5, 9)
    exif = pngs.chunk(b"eXIf", prefix + block(order, LONG, (8,)))
    data = pngs.write(samples, extra=(exif,))
    np.testing.assert_array_equal(decode(data)[0].samples, np.rot90(samples))
    header = measure(data)
    assert (header.rows, header.columns) == (9, 5)
