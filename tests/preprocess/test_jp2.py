import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from preprocess import UnsupportedImageError, decode
from preprocess.jp2 import check_boxes
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

PICTURE = ramp(40, 56)
COLOUR = np.stack([PICTURE, PICTURE // 2, PICTURE // 4], axis=-1)


def box(kind: bytes, body: bytes, *, long: bool = False) -> bytes:
    if long:
        return b"\0\0\0\1" + kind + (16 + len(body)).to_bytes(8) + body
    return (8 + len(body)).to_bytes(4) + kind + body


def colour(space: int) -> bytes:
    return box(b"colr", b"\1\0\0" + space.to_bytes(4))


def channels(*definitions: tuple[int, int, int]) -> bytes:
    words = (len(definitions), *(number for each in definitions for number in each))
    return box(b"cdef", b"".join(word.to_bytes(2) for word in words))


def before(*header: bytes) -> bytes:
    """The boxes before a codestream, and the head of its own."""
    signature = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return signature + box(b"jp2h", b"".join(header)) + b"\0\0\0\0jp2c"


INVERSE = (256).to_bytes(2) + b"\1\7" + bytes(range(255, -1, -1))
PALETTE = box(b"pclr", INVERSE) + box(b"cmap", b"\0\0\1\0")
BACKWARDS = channels((0, 0, 3), (1, 0, 2), (2, 0, 1))
TRANSPARENT = channels((0, 0, 1), (1, 0, 2), (2, 1, 0))


@pytest.mark.parametrize(
    ("samples", "header", "reason"),
    [
        (PICTURE, (colour(17), PALETTE), "a palette in JP2 boxes around a codestream is not taken"),
        (
            COLOUR,
            (colour(16), BACKWARDS),
            "JP2 boxes around a codestream give its components another meaning than their order",
        ),
        (
            COLOUR,
            (colour(16), TRANSPARENT),
            "JP2 boxes around a codestream give its components another meaning than their order",
        ),
        (
            COLOUR,
            (colour(11),),  # cyan, magenta and yellow: ink is dark
            "JP2 boxes around a codestream name a colour space that is not taken",
        ),
    ],
    ids=["palette", "BGR", "transparency", "CMY"],
)
def test_samples_that_are_not_what_they_look_like_are_refused(samples, header, reason):
    stream = imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", reversible=True)
    data = dicoms.write(dicoms.compressed(samples, before(*header) + stream), JPEG2000Lossless)
    with pytest.raises(UnsupportedImageError) as caught:
        decode(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "header",
    [
        (),
        (colour(17),),
        (colour(18),),
        (box(b"colr", b"\2\0\0" + bytes(40)),),
        (channels((0, 0, 1), (1, 0, 2), (2, 0, 3)),),
        (channels((0, 0, 0)),),
        (b"\xff\xff\xff\xffcolr\1",),
        (b"\0\0\0\2colr\1",),
    ],
    ids=["none", "grey", "sYCC", "ICC", "in order", "whole picture", "cut off", "impossible"],
)
def test_boxes_that_change_nothing_are_passed_over(header):
    check_boxes(before(*header))


def test_a_box_with_a_long_length_is_read():
    with pytest.raises(UnsupportedImageError):
        check_boxes(before(box(b"uuid", bytes(16), long=True), PALETTE))
