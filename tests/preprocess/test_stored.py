"""Stored samples of grey and of colour, whole or subsampled."""

import numpy as np
import pytest

from preprocess import (
    CorruptImageError,
    decode,
)
from tests.preprocess import dicoms
from tests.preprocess.dicom_files import RNG


def test_planes_and_pixels_give_the_same_luma():
    rgb = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    by_plane = dicoms.image(rgb, PlanarConfiguration=1)
    by_plane.PixelData = rgb.transpose(2, 0, 1).tobytes() + b"\0"
    np.testing.assert_array_equal(
        decode(dicoms.write(by_plane))[0].samples,
        decode(dicoms.write(dicoms.image(rgb)))[0].samples,
    )


def test_odd_columns_of_half_resolution_colour_are_refused():
    dataset = dicoms.image(np.zeros((2, 3, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = bytes(12)
    with pytest.raises(CorruptImageError, match="odd number"):
        decode(dicoms.write(dataset))


def test_colour_that_is_called_subsampled_and_is_whole():
    ybr = np.full((2, 3, 3), 128, np.uint8)
    ybr[..., 0] = [[0, 50, 100], [150, 200, 250]]
    dataset = dicoms.image(ybr, PhotometricInterpretation="YBR_FULL_422")
    (frame,) = decode(dicoms.write(dataset))
    assert frame.samples.tolist() == [[0, 50, 100], [150, 200, 250]]
    assert [warning[:44] for warning in frame.warnings] == [
        "Photometric Interpretation (0028,0004) says "
    ]


def test_bytes_behind_the_frames_are_told():
    dataset = dicoms.image(np.array([[0, 80, 255, 9, 8, 7]], np.uint8))
    dataset.PixelData += b"\x99\x99"
    (frame,) = decode(dicoms.write(dataset))
    assert frame.samples.tolist() == [[0, 80, 255, 9, 8, 7]]
    (warning,) = frame.warnings
    assert warning.startswith("Pixel Data (7FE0,0010) is longer than its frames")
