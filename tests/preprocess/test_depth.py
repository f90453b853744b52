"""Pictures whose file declares more bits than they use, without a window to tell."""

import numpy as np
import pytest

from preprocess import decode
from preprocess.depth import bits_in_use, extremes, range_in_use
from tests.preprocess import dicoms, pngs


@pytest.mark.parametrize(
    ("largest", "bits"),
    [
        (0, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14),
        (16384, 15), (32767, 15), (32768, 16), (65535, 16),
    ],
)  # fmt: skip
def test_the_least_depth_of_a_detector_is_taken(largest, bits):
    assert bits_in_use(largest) == bits


@pytest.mark.parametrize(("declared", "bits"), [(4, 4), (9, 9), (11, 11), (12, 12), (16, 12)])
def test_declared_bits_are_never_exceeded(declared, bits):
    assert bits_in_use((1 << min(declared, 11)) - 1, declared) == bits


@pytest.mark.parametrize(
    ("low", "high", "declared", "expected"),
    [
        (0, 4095, 16, (0, 4095, 12)),  # a detector's own values in a signed file
        (-2048, 2047, 16, (-2048, 2047, 12)),
        (-1000, 2047, 16, (-2048, 2047, 12)),
        (-1024, 3071, 16, (-1024, 3071, 12)),
        (-32768, 32767, 16, (-32768, 32767, 16)),
        (-128, 127, 8, (-128, 127, 8)),
        (-50, 100, 8, (-128, 127, 8)),
        (-2000, -5, 16, (-2048, 2047, 12)),
        (-7, 4095, 16, (0, 4095, 12)),  # overshoot
        (0, 2047, 12, (0, 2047, 12)),
        (-300, 2000, 12, (-2048, 2047, 12)),
    ],
)
def test_signed_ranges(low, high, declared, expected):
    assert range_in_use(low, high, declared, signed=True) == expected


def test_a_thousandth_of_the_pixels_is_left_out_at_either_end():
    counts = np.zeros(65536, np.int64)
    counts[[0, 100, 4000, 65535]] = 2, 498_999, 500_000, 999
    assert extremes(counts) == (100, 4000)
    counts[65535] = 1001
    assert extremes(counts) == (100, 65535)


@pytest.mark.parametrize(("pixels", "bits"), [(63, 16), (64, 12), (500, 12)])
def test_one_hot_pixel_is_left_out_of_a_small_picture_and_not_of_the_smallest(pixels, bits):
    samples = np.linspace(0, 4000, pixels).round().astype(np.uint16).reshape(1, -1)
    samples[0, 7] = 65535
    assert decode(dicoms.write(dicoms.image(samples)))[0].bits_stored == bits
    assert decode(pngs.write(samples))[0].bits_stored == bits


# Twelve bits in sixteen, in every form, come to the picture of twelve in twelve.

TWELVE = np.linspace(0, 4095, 60 * 90).round().astype(np.uint16).reshape(60, 90)


def levels(samples=TWELVE, **attributes) -> list:
    (frame,) = decode(dicoms.write(dicoms.image(samples, **attributes)))
    assert frame.bits_stored == 12
    return frame.samples.tolist()


def test_twelve_bits_in_sixteen_are_twelve_bits():
    assert levels() == levels(BitsStored=12) == TWELVE.tolist()


def test_a_png_and_a_data_set_agree():
    (frame,) = decode(pngs.write(TWELVE))
    assert (frame.samples.tolist(), frame.bits_stored) == (TWELVE.tolist(), 12)


def test_monochrome1_is_inverted_within_the_bits_in_use():
    assert levels(4095 - TWELVE, PhotometricInterpretation="MONOCHROME1") == TWELVE.tolist()


def test_rescale_changes_nothing():
    assert levels(RescaleSlope="0.25", RescaleIntercept="-1024") == TWELVE.tolist()
    inverted = levels(4095 - TWELVE, RescaleSlope="-3", RescaleIntercept="7")
    assert inverted == TWELVE.tolist()


@pytest.mark.parametrize("offset", [0, 1024, 2048])
def test_signed_files(offset):
    assert levels(TWELVE.astype(np.int16) - np.int16(offset)) == TWELVE.tolist()


@pytest.mark.parametrize("hot", [65535, 4096])
def test_hot_pixels_are_clipped_and_change_nothing_else(hot):
    samples = TWELVE.copy()
    samples[30, 40:45] = hot  # 5 of 5,400
    expected = np.minimum(samples, 4095).tolist()
    assert levels(samples) == expected
    (frame,) = decode(pngs.write(samples))
    assert (frame.samples.tolist(), frame.bits_stored) == (expected, 12)


def test_eight_bits_with_a_hot_pixel_do_not_wrap():
    samples = np.zeros((60, 90), np.uint16)
    samples[:30], samples[3, 4] = 255, 65535
    (frame,) = decode(pngs.write(samples))
    assert (frame.bits_stored, frame.samples.dtype) == (8, np.uint8)
    assert frame.samples[3, 4] == 255


@pytest.mark.parametrize("value", [65535, 50_000])
def test_padding_does_not_count(value):
    samples = TWELVE.copy()
    samples[:20] = value
    expected = TWELVE.copy()
    expected[:20] = 0
    assert levels(samples, PixelPaddingValue=value) == expected.tolist()


def test_padding_of_a_signed_file_does_not_count():
    samples = TWELVE.astype(np.int16)
    samples[:20] = -32768
    expected = TWELVE.copy()
    expected[:20] = 0
    padded = levels(samples, PixelPaddingValue=-32768)
    assert padded == expected.tolist()


def test_an_identity_as_modality_lut_changes_nothing():
    table = dicoms.lut(list(range(65535)), 0, 16)
    (frame,) = decode(dicoms.write(dicoms.image(TWELVE, ModalityLUTSequence=[table])))
    assert frame.bits_stored == 16
    np.testing.assert_allclose(frame.samples / 65535, TWELVE / 4095, atol=1e-5)


def test_colour():
    rgb = np.stack([TWELVE] * 3, axis=-1)
    (frame,) = decode(dicoms.write(dicoms.image(rgb)))
    assert (frame.samples.tolist(), frame.bits_stored) == (TWELVE.tolist(), 12)


def test_frames_of_one_object_have_one_depth():
    # One detector made them: what is dark in the second frame must not become bright.
    dark = TWELVE // 16
    stack = np.concatenate([TWELVE, dark])
    first, second = decode(dicoms.write(dicoms.image(stack, NumberOfFrames=2, Rows=60)))
    assert (first.bits_stored, second.bits_stored) == (12, 12)
    assert (first.samples.tolist(), second.samples.tolist()) == (TWELVE.tolist(), dark.tolist())


def test_a_window_is_taken_as_it_is():
    (frame,) = decode(
        dicoms.write(dicoms.image(TWELVE // 16, WindowCenter="2048", WindowWidth="4096"))
    )
    assert frame.bits_stored == 16
    assert frame.samples.max() == round(255 / 4095 * 65535)


def test_nothing_but_padding_is_black():
    (frame,) = decode(
        dicoms.write(dicoms.image(np.full((5, 5), 7, np.uint16), PixelPaddingValue=7))
    )
    assert not frame.samples.any()
