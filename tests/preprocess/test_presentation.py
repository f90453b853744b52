"""Stored values as a viewer would show them."""

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import apply_color_lut, pixel_array

from preprocess import decode
from tests.preprocess import dicoms
from tests.preprocess.dicom_files import file, whites


def test_palette_file_agrees_with_pydicom():
    data = file("examples_palette.dcm")
    dataset = dcmread(io.BytesIO(data))
    colours = apply_color_lut(pixel_array(dataset), dataset) / 65535
    np.testing.assert_allclose(whites(data)[0], colours @ [0.299, 0.587, 0.114], atol=1e-4)


def test_partial_range_luma_is_spread():
    ybr = np.array([16, 235, 128, 128] * 2, np.uint8)
    dataset = dicoms.image(
        np.zeros((1, 4, 3), np.uint8), PhotometricInterpretation="YBR_PARTIAL_422"
    )
    dataset.PixelData = ybr.tobytes()
    assert decode(dicoms.write(dataset))[0].samples.tolist() == [[0, 255, 0, 255]]


def test_padding_is_of_grey_pictures_alone():
    rgb = np.repeat(np.array([[0, 80, 255]], np.uint8)[..., None], 3, axis=2)
    (frame,) = decode(dicoms.write(dicoms.image(rgb, PixelPaddingValue=80)))
    assert frame.samples.tolist() == [[0, 80, 255]]


@pytest.mark.parametrize(
    ("photometric", "shape", "contradict"),
    [
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "INVERSE", False),
    ],
)
def test_a_presentation_lut_shape_that_contradicts_is_told(photometric, shape, contradict):
    fields = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    (frame,) = decode(dicoms.write(dicoms.image(np.array([[0, 80, 255]], np.uint8), **fields)))
    shown = [[255, 175, 0]] if photometric == "MONOCHROME1" else [[0, 80, 255]]
    assert frame.samples.tolist() == shown
    assert [warning[:35] for warning in frame.warnings] == (
        ["Presentation LUT Shape (2050,0020) "] if contradict else []
    )


@pytest.mark.parametrize(
    ("entries", "bits", "share"),
    [
        ([0, 80, 255], 16, [0, 0.3137, 1]),
        ([0, 80, 255], 8, [0, 0.3137, 1]),
        ([0, 20_000, 65_535], 16, [0, 0.3052, 1]),
        ([0, 10_000, 20_000], 16, [0, 0.1526, 0.3052]),  # a palette may be dark
        ([0, 20_000, 65_535], 8, [0, 0.3052, 1]),
    ],
)
def test_a_palette_is_scaled_by_eight_bits_where_its_entries_have_no_more(entries, bits, share):
    dataset = dicoms.image(np.array([[0, 1, 2]], np.uint8))
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        dataset.add_new(f"{name}Descriptor", "US", [3, 0, bits])
        dataset.add_new(f"{name}Data", "OW", np.array(entries, "<u2").tobytes())
    (frame,) = decode(dicoms.write(dataset))
    np.testing.assert_allclose(frame.samples[0] / frame.largest, share, atol=5e-5)
    assert len(frame.warnings) == int((max(entries) > 255) != (bits == 16))
