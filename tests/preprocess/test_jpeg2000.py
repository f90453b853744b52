import imagecodecs
import numpy as np
import pytest
from pydicom.uid import HTJ2K, JPEG2000, JPEG2000Lossless

from preprocess import CorruptImageError, TruncatedImageError, UnsupportedImageError, decode
from preprocess.jpeg2000 import read_header
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

PICTURE = ramp(40, 56)
COLOUR = np.stack([PICTURE, PICTURE // 2, 255 - PICTURE], axis=-1)


def j2k(samples: np.ndarray, **options: object) -> bytes:
    return imagecodecs.jpeg2k_encode(
        samples, **{"level": 0, "codecformat": "j2k", "reversible": True} | options
    )


def with_byte(stream: bytes, offset: int, value: int) -> bytes:
    return stream[:offset] + bytes((value,)) + stream[offset + 1 :]


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("reversible", [False, True])
def test_header_of_grey(bits, signed, reversible):
    samples = np.zeros((5, 9), f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    header = read_header(j2k(samples, bitspersample=bits, reversible=reversible))
    assert (header.start, header.rows, header.columns, header.components) == (0, 5, 9, 1)
    assert (header.precision, header.signed, header.reversible) == (bits, signed, reversible)
    assert not header.high_throughput
    assert not header.colour_transform


@pytest.mark.parametrize("transformed", [False, True])
def test_header_of_colour(transformed):
    header = read_header(j2k(COLOUR, mct=transformed))
    assert (header.components, header.colour_transform) == (3, transformed)


@pytest.mark.parametrize("reversible", [False, True])
def test_header_of_htj2k_in_tiles(reversible):
    stream = imagecodecs.htj2k_encode(PICTURE, reversible=reversible, tile=(16, 16), tlm=True)
    header = read_header(stream)
    assert (header.high_throughput, header.reversible) == (True, reversible)


def test_one_component_with_loss_makes_the_codestream_lossy():
    stream = imagecodecs.htj2k_encode(COLOUR, reversible=True)
    at = stream.index(b"\xff\x52")
    length = 2 + int.from_bytes(stream[at + 2 : at + 4])
    style = stream[at + 9 : at + length]
    for position in (at + length, stream.index(b"\xff\x93")):  # of the main header, of a tile-part
        other = style[:4] + b"\0"
        coc = b"\xff\x53" + (9).to_bytes(2) + b"\1\0" + other
        changed = stream[:position] + coc + stream[position:]
        if position > at + length:
            sot = stream.index(b"\xff\x90") + 6
            tile_part = int.from_bytes(stream[sot : sot + 4]) + len(coc)
            changed = changed[:sot] + tile_part.to_bytes(4) + changed[sot + 4 :]
        assert read_header(stream).reversible
        assert not read_header(changed).reversible


def test_jp2_boxes_around_a_codestream_are_passed_over():
    for options in ({}, {"reversible": False, "level": 90}):
        boxed, bare = j2k(PICTURE, codecformat="jp2", **options), j2k(PICTURE, **options)
        assert read_header(boxed).start > 0
        frames = [
            decode(dicoms.write(dicoms.compressed(PICTURE, stream), JPEG2000))[0].samples
            for stream in (boxed, bare)
        ]
        np.testing.assert_array_equal(*frames)


def test_plain_jpeg_2000_under_htj2k_and_the_other_way_round():
    htj2k = imagecodecs.htj2k_encode(PICTURE, reversible=True)
    for stream, syntax in ((j2k(PICTURE), HTJ2K), (htj2k, JPEG2000Lossless)):
        (frame,) = decode(dicoms.write(dicoms.compressed(PICTURE, stream), syntax))
        np.testing.assert_array_equal(frame.samples, PICTURE)


def test_part_2_is_refused_by_name():
    stream = j2k(PICTURE)
    with pytest.raises(UnsupportedImageError) as caught:
        read_header(with_byte(stream, 6, 0x80))
    assert caught.value.reason == "the extensions of JPEG 2000 Part 2 are not taken"


@pytest.mark.parametrize(
    ("offset", "value"),
    [(45, 11), (45, 0x87), (46, 2), (50, 2), (43, 2)],
    ids=["depth", "sign", "columns of the second", "rows of the third", "columns of the first"],
)
def test_components_that_differ_are_refused(offset, value):
    with pytest.raises(UnsupportedImageError, match="several sizes or depths"):
        read_header(with_byte(j2k(COLOUR), offset, value))


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"", CorruptImageError),
        (b"\xff\x4f\xff\x51", CorruptImageError),
        (j2k(PICTURE)[:30], TruncatedImageError),
        (j2k(PICTURE)[:60], TruncatedImageError),
        (j2k(PICTURE)[:-2], TruncatedImageError),
        (j2k(PICTURE)[:-1], TruncatedImageError),
        (j2k(PICTURE).replace(b"\xff\x52", b"\xff\x64"), CorruptImageError),
        (j2k(PICTURE).replace(b"\xff\x52", b"\x00\x52"), CorruptImageError),
        (j2k(PICTURE)[:41] + b"\0" + j2k(PICTURE)[42:], CorruptImageError),
        (b"\xff\x4f\xff\x51" + b"\xff\x64\0\2" * 20_000, CorruptImageError),
    ],
)
def test_malformed_headers_give_a_typed_error(stream, error):
    with pytest.raises(error):
        read_header(stream)


def test_tile_parts_that_lie_in_each_other_are_refused():
    stream = j2k(PICTURE)
    at = stream.index(b"\xff\x90") + 6
    with pytest.raises(CorruptImageError, match="impossible length"):
        read_header(stream[:at] + (12).to_bytes(4) + stream[at + 4 :])
