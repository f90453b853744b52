"""The statistics of a model's input follow by hand, and tell nothing but the picture."""

import numpy as np
import pytest

from preprocess import Frame, InputSpec, to_tensor
from preprocess.statistics import sampled_statistics, tensor_statistics

SPEC = InputSpec(rows=32, columns=32)
HALF = np.repeat(np.array([[0.0, 1.0]], dtype=np.float32), 16, axis=1).repeat(32, axis=0)[None]


def test_a_picture_half_black_and_half_white():
    found = tensor_statistics(HALF, SPEC)
    assert found.mean == pytest.approx(0.5)
    assert found.deviation == pytest.approx(0.5)
    assert found.entropy == pytest.approx(1 / 6)  # one bit of six
    assert found.saturation == 1.0
    assert found.border == pytest.approx(0.5)


def test_a_flat_grey_picture_has_neither_deviation_nor_entropy():
    found = tensor_statistics(np.full((3, 8, 8), 0.5, dtype=np.float32), SPEC)
    assert found.mean == pytest.approx(0.5, abs=1 / 510)
    assert (found.deviation, found.entropy, found.saturation) == (0.0, 0.0, 0.0)


def test_all_levels_alike_have_the_greatest_entropy():
    levels = np.arange(256, dtype=np.float32).reshape(1, 16, 16) / 255
    found = tensor_statistics(levels, InputSpec(rows=16, columns=16))
    assert found.entropy == pytest.approx(1.0)
    assert found.saturation == pytest.approx(2 / 256)
    # Two rows of sixteen from 0, two up to 255, and what stands at the ends of those between.
    assert found.deviation == pytest.approx(np.std(levels), abs=1 / 510)


def test_the_border_is_the_outer_sixteenth():
    picture = np.zeros((1, 32, 32), dtype=np.float32)
    picture[0, 2:30, 2:30] = 1.0
    assert tensor_statistics(picture, SPEC).border == 0.0
    assert tensor_statistics(1 - picture, SPEC).border == 1.0


def test_black_is_0_whatever_the_models_range():
    inverted = InputSpec(rows=32, columns=32, output_range=(3.0, -1.0))
    found = tensor_statistics(3.0 - 4.0 * HALF, inverted)
    assert found == tensor_statistics(HALF, SPEC)


def test_one_pixel_is_all_border():
    found = tensor_statistics(np.ones((1, 1, 1), dtype=np.float32), InputSpec(rows=1, columns=1))
    assert (found.mean, found.border) == (1.0, 1.0)


@pytest.mark.parametrize("size", [(31, 33), (640, 512), (2001, 1500)])
def test_statistics_of_a_thinned_frame_are_nearly_those_of_the_tensor(size: tuple[int, int]):
    rows, columns = size
    down, across = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    samples = (4095 * down * (1 - across) ** 2).astype(np.uint16)
    frame = Frame(samples, 12, rows, columns)
    whole, thin = tensor_statistics(to_tensor(frame, SPEC), SPEC), sampled_statistics(frame, SPEC)
    for name in ("mean", "deviation", "entropy", "saturation", "border"):
        assert getattr(thin, name) == pytest.approx(getattr(whole, name), abs=0.02), name
