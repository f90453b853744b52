"""The Image Pixel module, held to what the standard allows and to itself."""

import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from preprocess import (
    CorruptImageError,
    UnsupportedImageError,
    decode,
    measure,
)
from tests.preprocess import dicoms
from tests.preprocess.dicom_files import EIGHT, RNG, encoded, file
from tests.preprocess.pngs import ramp


@pytest.mark.parametrize("declared", [2, 4])
def test_number_of_frames_that_lies_is_refused(declared):
    streams = [encoded(EIGHT, JPEGLSLossless)] * 3
    compressed = dicoms.compressed(EIGHT, *streams, NumberOfFrames=declared)
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(compressed, JPEGLSLossless))
    plain = dicoms.image(np.zeros((12, 6), np.uint8), NumberOfFrames=declared, Rows=4)
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(plain))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("reportsi.dcm", "Basic Text SR Storage objects hold no Pixel Data"),
        ("test-SR.dcm", "Comprehensive SR Storage objects hold no Pixel Data"),
        ("rtplan.dcm", "RT Plan Storage objects hold no Pixel Data"),
        ("waveform_ecg.dcm", "12-lead ECG Waveform Storage objects hold no Pixel Data"),
        ("liver_1frame.dcm", "Bits Allocated is neither 8, 16 nor 32"),
        ("rtdose.dcm", "more than 16 Bits Stored are not taken"),
    ],
)
def test_objects_without_a_radiograph_are_refused_with_the_reason(name, reason):
    for function in (measure, decode):
        with pytest.raises(UnsupportedImageError) as caught:
            function(file(name))
        assert caught.value.reason == reason


def test_image_that_ends_before_its_pixels_is_not_told_to_be_of_a_kind_without():
    dataset = dicoms.image(EIGHT, SOPClassUID="1.2.840.10008.5.1.4.1.1.1")
    del dataset.PixelData
    with pytest.raises(UnsupportedImageError) as caught:
        decode(dicoms.write(dataset))
    assert caught.value.reason == (
        "the file has no Pixel Data, as Computed Radiography Image Storage objects do: it may be "
        "truncated"
    )


def test_unknown_sop_class_is_not_repeated():
    dataset = dicoms.image(EIGHT, SOPClassUID="1.2.826.0.1.99")
    del dataset.PixelData
    with pytest.raises(UnsupportedImageError) as caught:
        decode(dicoms.write(dataset))
    assert caught.value.reason == "the object holds no Pixel Data"


@pytest.mark.parametrize(
    "fields",
    [
        {"Rows": 0},
        {"Columns": 0},
        {"BitsStored": 12},
        {"BitsStored": 0},
        {"HighBit": 9},
        {"HighBit": 3},
        {"SamplesPerPixel": 3},
        {"Rows": None},
        {"BitsStored": None},
        {"PixelRepresentation": 2},
    ],
)
def test_contradictions_are_refused(fields):
    dataset = dicoms.image(ramp(4, 6))
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(dataset))


@pytest.mark.parametrize(
    "fields",
    [
        {"PhotometricInterpretation": "HSV"},
        {"PhotometricInterpretation": None},
        {"BitsAllocated": 12},
    ],
)
def test_unusual_kinds_are_refused(fields):
    dataset = dicoms.image(ramp(4, 6))
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    with pytest.raises(UnsupportedImageError):
        decode(dicoms.write(dataset))


@pytest.mark.parametrize("written", ["monochrome1", "Monochrome1", "MONOCHROME 1"])
def test_photometric_interpretation_in_other_letters(written):
    dataset = dicoms.image(np.array([[0, 80, 255]], np.uint8))
    data = dicoms.write(dataset).replace(b"\x0c\x00MONOCHROME2 ", b"\x0c\x00" + pad(written))
    (frame,) = decode(data)
    assert frame.samples.tolist() == [[255, 175, 0]]
    assert frame.warnings == (
        "Photometric Interpretation (0028,0004) is not written in capitals as the standard has it",
    )


def pad(text: str) -> bytes:
    return text.encode().ljust(12)


def test_refusal_of_a_photometric_interpretation_names_those_taken():
    dataset = dicoms.image(EIGHT, PhotometricInterpretation="HSV")
    with pytest.raises(UnsupportedImageError, match="none of those taken: MONOCHROME1, MONO"):
        decode(dicoms.write(dataset))


@pytest.mark.parametrize("planar", [0, 1])
def test_grey_in_the_other_planar_configuration_is_refused(planar):
    grey = RNG.integers(0, 256, (5, 7, 1), np.uint8)
    rgb = np.repeat(grey, 3, axis=2)
    pixels = {0: rgb.tobytes() + b"\0", 1: rgb.transpose(2, 0, 1).tobytes() + b"\0"}
    right = dicoms.image(rgb, PlanarConfiguration=planar, PixelData=pixels[planar])
    np.testing.assert_array_equal(decode(dicoms.write(right))[0].samples, grey[..., 0])
    wrong = dicoms.image(rgb, PlanarConfiguration=planar, PixelData=pixels[1 - planar])
    with pytest.raises(CorruptImageError, match="other Planar Configuration"):
        decode(dicoms.write(wrong))
