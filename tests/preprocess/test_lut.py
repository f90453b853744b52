import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_rescale, apply_voi, apply_windowing
from pydicom.uid import ExplicitVRBigEndian

from preprocess import UnsupportedImageError, decode
from preprocess.lut import window
from tests.preprocess import dicoms


def shown(values, dtype=np.uint8, **attributes) -> list[float]:
    """Share of white of each value, rounded to four places."""
    (frame,) = decode(dicoms.write(dicoms.image(np.array([values], dtype), **attributes)))
    return [round(float(value) / frame.largest, 4) for value in frame.samples[0]]


@pytest.mark.parametrize(
    ("function", "center", "width", "values", "expected"),
    [
        # PS3.3 C.11.2.1.2.1, its own examples: full 12-bit range, and one grey level in the middle.
        ("LINEAR", 2048, 4096, [0, 2047.5, 4095], [0, 0.5, 1]),
        ("LINEAR", 2048, 1, [2047, 2047.5, 2048], [0, 0, 1]),
        ("LINEAR", 0, 100, [-50, -0.5, 49], [0, 0.5, 1]),
        ("LINEAR", 0, 100, [-51, 50], [0, 1]),
        ("LINEAR_EXACT", 0, 100, [-50, -25, 0, 50], [0, 0.25, 0.5, 1]),
        ("LINEAR_EXACT", 127.5, 255, [0, 51, 255], [0, 0.2, 1]),
        ("LINEAR_EXACT", 0, 0.5, [-1, 0, 1], [0, 0.5, 1]),
        # One over one and the exponential of minus four times the distance in widths.
        ("SIGMOID", 50, 100, [0, 25, 50, 75, 100], [0.1192, 0.2689, 0.5, 0.7311, 0.8808]),
        ("SIGMOID", 0, 1e-9, [-1, 0, 1], [0, 0.5, 1]),
    ],
)
def test_window_functions(function, center, width, values, expected):
    result = window(np.array(values, np.float64), center, width, function)
    np.testing.assert_allclose(result, expected, atol=5e-5)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(300, 500), (2048, 4096), (1000, 7), (-50, 70)])
def test_window_agrees_with_pydicom(function, center, width):
    reference = Dataset()
    reference.PhotometricInterpretation = "MONOCHROME2"
    reference.BitsStored, reference.PixelRepresentation = 12, 0
    reference.WindowCenter, reference.WindowWidth = center, width
    reference.VOILUTFunction = function
    values = np.arange(4096)
    expected = apply_windowing(values.astype(np.uint16), reference) / 4095
    np.testing.assert_allclose(
        window(values.astype(float), center, width, function), expected, atol=1e-9
    )


def test_without_transformation_the_stored_range_is_shown_as_it_is():
    values = np.array([[0, 100, 4095]], np.uint16)
    (frame,) = decode(dicoms.write(dicoms.image(values, BitsStored=12)))
    assert frame.samples.tolist() == [[0, 100, 4095]]
    assert frame.bits_stored == 12


def test_monochrome1_is_inverted():
    values = np.array([[0, 100, 4095]], np.uint16)
    inverted = dicoms.image(values, BitsStored=12, PhotometricInterpretation="MONOCHROME1")
    (frame,) = decode(dicoms.write(inverted))
    assert frame.samples.tolist() == [[4095, 3995, 0]]


def test_signed_values_begin_at_the_least():
    values = np.array([[-2048, -1, 0, 2047]], np.int16)
    (frame,) = decode(dicoms.write(dicoms.image(values, BitsStored=12)))
    assert frame.samples.tolist() == [[0, 2047, 2048, 4095]]


def test_rescale_without_window_shows_the_rescaled_range():
    assert shown([0, 51, 255], RescaleSlope="2", RescaleIntercept="-1024") == [0, 0.2, 1]


def test_negative_slope_inverts():
    assert shown([0, 51, 255], RescaleSlope="-1", RescaleIntercept="0") == [1, 0.8, 0]


def test_window_applies_after_rescale_and_inversion_last():
    fields = {"RescaleSlope": "2", "RescaleIntercept": "-100", "VOILUTFunction": "LINEAR_EXACT"}
    fields |= {"WindowCenter": "100", "WindowWidth": "200"}
    # 50 -> 0, 100 -> 100, 125 -> 150
    assert shown([50, 100, 125, 255], **fields) == [0, 0.5, 0.75, 1]
    inverted = shown([50, 100, 125, 255], PhotometricInterpretation="MONOCHROME1", **fields)
    assert inverted == [1, 0.5, 0.25, 0]


def test_first_of_several_windows_is_taken():
    fields = {"VOILUTFunction": "LINEAR_EXACT"}
    fields |= {"WindowCenter": ["100", "1"], "WindowWidth": ["200", "2"]}
    assert shown([0, 50, 200], **fields) == [0, 0.25, 1]


def test_modality_lut():
    table = dicoms.lut([0, 10, 40], first=1, bits=16)
    # Values before the first take the first entry, those behind the last take the last.
    assert shown([0, 1, 2, 3, 200], ModalityLUTSequence=[table]) == [0, 0, 0.25, 1, 1]


def test_modality_lut_of_signed_values():
    table = dicoms.lut([0, 20, 40], first=-1, bits=16, signed_first=True)
    assert shown([-2, -1, 0, 1], np.int8, ModalityLUTSequence=[table]) == [0, 0, 0.5, 1]


def test_voi_lut_comes_before_the_window():
    table = dicoms.lut([0, 1023, 4095], first=10, bits=12)
    fields = {"VOILUTSequence": [table], "WindowCenter": "1", "WindowWidth": "2"}
    assert shown([0, 10, 11, 12, 13], **fields) == [0, 0, 0.2498, 1, 1]


def test_voi_lut_of_rescaled_values():
    table = dicoms.lut([0, 255], first=-5, bits=8, signed_first=True)
    fields = {"RescaleSlope": "1", "RescaleIntercept": "-10", "VOILUTSequence": [table]}
    assert shown([4, 5, 6], **fields) == [0, 0, 1]


def test_eight_bit_lut_may_be_packed():
    table = dicoms.lut([0, 0, 0, 0], first=0, bits=8)
    table.LUTData = bytes([0, 51, 102, 255])
    assert shown([0, 1, 2, 3], VOILUTSequence=[table]) == [0, 0.2, 0.4, 1]


def in_words(entries: list[int]) -> bytes:
    """Entries of 8 bits as a file in big endian holds them: in words, the second one first."""
    return np.array(entries, np.uint8).view("<u2").astype(">u2").tobytes()


def shown_in_big_endian(dataset: Dataset) -> list[float]:
    dataset["PixelData"].VR = "OB"
    (frame,) = decode(dicoms.write(dataset, ExplicitVRBigEndian))
    return [round(float(value) / frame.largest, 4) for value in frame.samples[0]]


def test_packed_eight_bit_lut_in_big_endian():
    table = dicoms.lut([0, 0, 0, 0], first=0, bits=8)
    table.LUTData = in_words([0, 51, 102, 255])
    picture = dicoms.image(np.array([[0, 1, 2, 3]], np.uint8), VOILUTSequence=[table])
    assert shown_in_big_endian(picture) == [0, 0.2, 0.4, 1]


def test_first_value_without_sign_beside_rescaled_values_below_zero():
    table = dicoms.lut([0, 255], first=40_000, bits=8)
    fields = {"RescaleSlope": "1", "RescaleIntercept": "-2", "VOILUTSequence": [table]}
    # Read as signed it would stand below all values, and all would be white.
    assert shown([0, 40_002, 40_003, 65_535], np.uint16, **fields) == [0, 0, 1, 1]


@pytest.mark.parametrize("signed", [False, True])
def test_transformations_agree_with_pydicom(signed):
    rng = np.random.default_rng(6)
    values = rng.integers(-2048 if signed else 0, 2048 if signed else 4096, (40, 50))
    samples = values.astype(np.int16 if signed else np.uint16)
    entries = np.sort(rng.integers(0, 4096, 3000)).tolist()
    data = dicoms.image(
        samples,
        BitsStored=12,
        RescaleSlope="0.5",
        RescaleIntercept="-200",
        VOILUTSequence=[dicoms.lut(entries, first=-900, bits=12, signed_first=True)],
    )
    dataset = dcmread(io.BytesIO(dicoms.write(data)))
    expected = apply_voi(apply_rescale(samples, dataset).astype(np.int16), dataset) / 4095
    (frame,) = decode(dicoms.write(data))
    # pydicom truncates half values here, this package rounds them: the next entry of the table.
    step = np.diff(entries).max() / 4095
    assert np.abs(frame.samples / 65535 - expected).max() <= step + 1e-4


def test_modality_lut_agrees_with_pydicom():
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    entries = (np.arange(200) ** 2).tolist()
    table = dicoms.lut(entries, first=20, bits=16)
    data = dicoms.write(dicoms.image(samples, ModalityLUTSequence=[table]))
    dataset = dcmread(io.BytesIO(data))
    expected = apply_modality_lut(samples, dataset) / 199**2
    (frame,) = decode(data)
    np.testing.assert_allclose(frame.samples / frame.largest, expected, atol=1e-5)


def test_padding_is_black_in_either_sense():
    assert shown([7, 0, 255], PixelPaddingValue=7) == [0, 0, 1]
    inverted = shown([0, 7, 255], PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
    assert inverted == [0, 0.9725, 0]


def test_padding_range():
    fields = {"PixelPaddingValue": 250, "PixelPaddingRangeLimit": 255}
    assert shown([51, 249, 250, 255], **fields) == [0.2, 0.9765, 0, 0]


def palette(red, green, blue, first: int = 0, bits: int = 16) -> dict[str, object]:
    fields: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in (("Red", red), ("Green", green), ("Blue", blue)):
        prefix = f"{name}PaletteColorLookupTable"
        fields[f"{prefix}Descriptor"] = [len(entries), first, bits]
        fields[f"{prefix}Data"] = np.array(entries, "<u2").tobytes()
    return fields


def test_palette_gives_luma():
    fields = palette([65535, 0, 0, 65535], [0, 65535, 0, 65535], [0, 0, 65535, 65535])
    assert shown([0, 1, 2, 3, 9], **fields) == [0.299, 0.587, 0.114, 1, 1]


def test_palette_of_eight_bits():
    fields = palette([0, 51], [0, 51], [0, 51], first=10, bits=8)
    assert shown([0, 10, 11], **fields) == [0, 0, 0.2]


def test_palette_of_packed_entries_in_big_endian():
    fields = palette([0] * 4, [0] * 4, [0] * 4, bits=8)
    for name in ("Red", "Green", "Blue"):
        fields[f"{name}PaletteColorLookupTableData"] = in_words([0, 51, 102, 255])
    picture = dicoms.image(np.array([[0, 1, 2, 3]], np.uint8), **fields)
    for name in ("Red", "Green", "Blue"):
        picture[f"{name}PaletteColorLookupTableData"].VR = "OW"
    assert shown_in_big_endian(picture) == [0, 0.2, 0.4, 1]


def test_segmented_palette_is_refused():
    fields = palette([0, 1], [0, 1], [0, 1])
    fields["SegmentedRedPaletteColorLookupTableData"] = b"\0\0"
    with pytest.raises(UnsupportedImageError):
        shown([0, 1], **fields)
