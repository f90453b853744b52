"""Samples taken from their cells: Bits Stored, High Bit, and what lies beside them."""

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)

from preprocess import (
    CorruptImageError,
    decode,
)
from tests.preprocess import codestreams, dicoms
from tests.preprocess.dicom_files import RNG


def test_overshoot_of_a_lossy_coding_is_clipped_not_wrapped():
    edge = np.zeros((64, 64), np.uint16)
    edge[:, 35:] = 1023
    codestream = imagecodecs.jpeg8_encode(edge, level=30, bitspersample=12)
    assert imagecodecs.jpeg8_decode(codestream).max() > 1023
    data = dicoms.write(dicoms.compressed(edge, codestream, BitsStored=10), JPEGExtended12Bit)
    assert decode(data)[0].samples[:, 40:].min() > 700


def test_bits_that_are_not_stored_are_masked():
    samples = np.array([[0xF000, 0x1234, 0x0FFF]], np.uint16)  # overlays in the upper four
    (frame,) = decode(dicoms.write(dicoms.image(samples, BitsStored=12)))
    assert frame.samples.tolist() == [[0, 0x234, 0xFFF]]


def test_high_bit_tells_where_the_stored_bits_are():
    samples = np.array([[0x0000, 0x1230, 0xFFFF]], np.uint16)
    dataset = dicoms.image(samples, BitsStored=12)
    dataset.HighBit = 15
    assert decode(dicoms.write(dataset))[0].samples.tolist() == [[0, 0x123, 0xFFF]]


def test_twelve_bits_in_cells_of_thirty_two():
    samples = np.array([[0, 77, 4095]], np.uint32)
    (frame,) = decode(dicoms.write(dicoms.image(samples, BitsStored=12)))
    assert frame.samples.tolist() == [[0, 77, 4095]]


def test_less_than_eight_bits():
    samples = np.array([[0, 3, 15]], np.uint8)
    (frame,) = decode(dicoms.write(dicoms.image(samples, BitsStored=4)))
    assert frame.samples.tolist() == [[0, 3, 15]]
    assert frame.bits_stored == 4


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize(
    ("used", "stored", "signed"),
    [(12, 11, 0), (12, 10, 0), (12, 8, 0), (16, 14, 0), (16, 12, 0), (12, 12, 1)],
)
def test_cells_deeper_than_bits_stored_are_refused(syntax, used, stored, signed, radiograph):
    picture = decode(radiograph)[0].samples[300:340].astype(np.uint16) << (used - 8)
    fields = {"BitsStored": stored, "PixelRepresentation": signed}
    if syntax == RLELossless:
        dataset = dicoms.compressed(picture, codestreams.rle(picture), **fields)
    else:
        dataset = dicoms.image(picture, **fields)
    with pytest.raises(CorruptImageError, match=f"go on above High Bit {stored - 1}: Bits Stored"):
        decode(dicoms.write(dataset, syntax))


def test_last_bits_of_a_deeper_picture_are_refused_however_rough_it_is():
    values = np.tile(np.arange(0, 65536, 1111), (8, 1)).astype(np.uint16)
    values[::2] += RNG.integers(0, 1111, (4, 59)).astype(np.uint16)
    with pytest.raises(CorruptImageError, match="go on above High Bit 7"):
        decode(dicoms.write(dicoms.image(values, BitsStored=8)))


@pytest.mark.parametrize("planes", [(12,), (15,), (12, 13), (13, 14, 15)])
@pytest.mark.parametrize("signed", [0, 1])
def test_overlays_above_noise_are_masked(planes, signed):
    picture = RNG.integers(0, 4096, (40, 60), np.uint16)
    covered = picture.copy()
    for plane in planes:
        covered[plane : plane + 12, 8:50:3] |= 1 << plane
    fields = {"BitsStored": 12, "PixelRepresentation": signed}
    (plain,) = decode(dicoms.write(dicoms.image(picture, **fields)))
    (masked,) = decode(dicoms.write(dicoms.image(covered, **fields)))
    np.testing.assert_array_equal(masked.samples, plain.samples)
