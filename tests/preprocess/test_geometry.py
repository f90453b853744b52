import numpy as np
import pytest
from PIL import Image

from preprocess import Aspect, Resample
from preprocess.geometry import place, resample
from tests.preprocess.pngs import ramp


@pytest.mark.parametrize(
    ("shape", "aspect", "source", "target"),
    [
        ((100, 50), Aspect.STRETCH, (0, 0, 100, 50), (0, 0, 20, 20)),
        ((100, 50), Aspect.LETTERBOX, (0, 0, 100, 50), (0, 5, 20, 10)),
        ((50, 100), Aspect.LETTERBOX, (0, 0, 50, 100), (5, 0, 10, 20)),
        ((100, 52), Aspect.LETTERBOX, (0, 0, 100, 52), (0, 5, 20, 10)),  # 10.4 columns
        (
            (100, 55),
            Aspect.LETTERBOX,
            (0, 0, 100, 55),
            (0, 4, 20, 11),
        ),  # 11 columns: 4 left, 5 right
        ((20, 20), Aspect.LETTERBOX, (0, 0, 20, 20), (0, 0, 20, 20)),
        ((1, 10_000), Aspect.LETTERBOX, (0, 0, 1, 10_000), (9, 0, 1, 20)),
        ((100, 50), Aspect.CROP, (25, 0, 50, 50), (0, 0, 20, 20)),
        ((50, 101), Aspect.CROP, (0, 25, 50, 50), (0, 0, 20, 20)),
        ((1, 10_000), Aspect.CROP, (0, 4999, 1, 1), (0, 0, 20, 20)),
    ],
)
def test_placement(shape, aspect, source, target):
    placement = place(shape, (20, 20), aspect)
    assert placement.source == source
    assert placement.target == target


def test_placement_in_an_oblong_input():
    assert place((100, 100), (10, 20), Aspect.CROP).source == (25, 0, 50, 100)
    assert place((100, 100), (10, 20), Aspect.LETTERBOX).target == (0, 5, 10, 10)


@pytest.mark.parametrize(
    ("shape", "aspect", "covered"),
    [
        ((100, 50), Aspect.STRETCH, (0, 0, 1, 1)),
        ((100, 50), Aspect.LETTERBOX, (0, -0.5, 1, 1.5)),  # 5 of 20 columns on either side
        ((50, 100), Aspect.LETTERBOX, (-0.5, 0, 1.5, 1)),
        ((100, 50), Aspect.CROP, (0.25, 0, 0.75, 1)),
        ((50, 100), Aspect.CROP, (0, 0.25, 1, 0.75)),
    ],
)
def test_what_the_input_covers_of_the_picture(shape, aspect, covered):
    size = (20, 20)
    assert place(shape, size, aspect).covered(shape, size) == pytest.approx(covered)


def overlaps(before: int, after: int) -> np.ndarray:
    """Row i holds what share of output pixel i each input pixel covers."""
    edges = np.arange(after + 1) * before / after
    left, right = (
        np.maximum(edges[:-1, None], np.arange(before)),
        np.minimum(edges[1:, None], np.arange(before) + 1),
    )
    return np.maximum(0, right - left) * after / before


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((64, 64), (32, 32)),
        ((97, 61), (32, 32)),
        ((61, 97), (40, 33)),
        ((5, 7), (32, 32)),
        ((5, 200), (32, 32)),
        ((200, 5), (32, 32)),
        ((1, 1), (32, 32)),
        ((1, 3000), (32, 32)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_area_is_the_exact_average(shape, size, dtype):
    samples = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    expected = overlaps(shape[0], size[0]) @ samples.astype(float) @ overlaps(shape[1], size[1]).T
    result = resample(samples, size, Resample.AREA)
    assert result.dtype == dtype
    # One rounding to whole grey levels, two where one axis grows.
    assert np.abs(result - expected).max() <= 1.0


def test_area_by_hand():
    samples = np.array([[0, 10, 20], [30, 40, 50], [60, 70, 80]], np.uint8)
    # Along an axis an output pixel covers one and a half input pixels: weights 2/3 and 1/3.
    assert resample(samples, (2, 2), Resample.AREA).tolist() == [[13, 27], [53, 67]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 999), (999, 1), (7, 5), (300, 200), (224, 224)])
def test_bilinear_is_pillows(shape):
    samples = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    expected = Image.fromarray(samples).resize((56, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        resample(samples, (48, 56), Resample.BILINEAR), np.asarray(expected)
    )


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (300, 200)])
def test_bilinear_keeps_sixteen_bits(shape):
    samples = np.random.default_rng(4).integers(0, 65536, shape, np.uint16)
    floats = Image.fromarray(samples.astype(np.float32))
    expected = np.asarray(floats.resize((56, 48), Image.Resampling.BILINEAR))
    result = resample(samples, (48, 56), Resample.BILINEAR)
    assert result.dtype == np.uint16
    assert np.abs(result - expected).max() <= 1.0


@pytest.mark.parametrize("method", Resample)
def test_part_of_a_picture_can_be_resampled(method):
    whole = ramp(40, 60)
    part = whole[3:33, 10:50]
    np.testing.assert_array_equal(
        resample(part, (8, 8), method), resample(part.copy(), (8, 8), method)
    )
    np.testing.assert_array_equal(whole, ramp(40, 60))


@pytest.mark.parametrize("method", Resample)
def test_same_size_changes_nothing(method):
    samples = ramp(9, 11)
    np.testing.assert_array_equal(resample(samples, (9, 11), method), samples)


@pytest.mark.parametrize("method", Resample)
def test_a_box_on_whole_samples_is_that_part(method):
    samples = ramp(60, 80)
    part = resample(samples[10:50, 20:60], (8, 8), method)
    np.testing.assert_array_equal(resample(samples, (8, 8), method, (10, 20, 50, 60)), part)


def test_area_takes_of_a_sample_what_the_box_has_of_it():
    samples = np.array([[0, 100, 200, 40]], np.uint8)
    found = resample(samples, (1, 2), Resample.AREA, (0, 0.5, 1, 3.5))
    # From 0.5 to 2: half of 0 and all of 100; from 2 to 3.5: all of 200 and half of 40.
    assert found.tolist() == [[67, 147]]
