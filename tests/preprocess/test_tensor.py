import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from preprocess import (
    Aspect,
    Frame,
    InputSpec,
    Percentile,
    Resample,
    Window,
    decode,
    to_tensor,
)


def frame(samples, bits_stored: int = 8) -> Frame:
    array = np.asarray(samples, np.uint8 if bits_stored <= 8 else np.uint16)
    return Frame(array, bits_stored, *array.shape)


def same_size(values, **fields) -> InputSpec:
    rows, columns = np.shape(values)
    return InputSpec(rows=rows, columns=columns, **fields)


@pytest.mark.parametrize(
    "name",
    [
        "person931_bacteria_2856.jpeg",
        "person699_virus_1295.jpeg",
        "NORMAL2-IM-0635-0001.jpeg",
        "NORMAL2-IM-0962-0001.jpeg",
        "nih_00000001_000.png",
    ],
)
def test_the_reference_model_sees_what_it_was_trained_on(images, name):
    data = (images / name).read_bytes()
    trained_on = Image.open(io.BytesIO(data)).convert("L").resize((224, 224), Image.BILINEAR)
    tensor = to_tensor(decode(data)[0], InputSpec(rows=224, columns=224))
    assert tensor.shape == (1, 224, 224)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor[0], np.asarray(trained_on) / 255, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "bits", "output_range", "expected"),
    [
        ([[0, 51, 255]], 8, (0, 1), [[0, 0.2, 1]]),
        ([[0, 819, 4095]], 12, (0, 1), [[0, 0.2, 1]]),
        ([[0, 13107, 65535]], 16, (0, 1), [[0, 0.2, 1]]),
        ([[0, 51, 255]], 8, (-1024, 1024), [[-1024, -614.4, 1024]]),
        ([[0, 51, 255]], 8, (1, 0), [[1, 0.8, 0]]),
        ([[0, 1]], 1, (0, 1), [[0, 1]]),
    ],
)
def test_full_range_is_spread_over_the_output_range(values, bits, output_range, expected):
    tensor = to_tensor(frame(values, bits), same_size(values, output_range=output_range))
    np.testing.assert_allclose(tensor[0], expected, rtol=1e-6, atol=1e-7)


def test_window_is_in_fractions_of_the_full_range_and_clips():
    values = [[0, 51, 102, 127, 204, 255]]
    spec = same_size(values, intensity=Window(center=0.4, width=0.4))  # from 0.2 to 0.6
    expected = [[0, 0, 0.5, (127 / 255 - 0.2) / 0.4, 1, 1]]
    np.testing.assert_allclose(to_tensor(frame(values), spec)[0], expected, atol=1e-6)


def test_percentiles_are_taken_over_the_resampled_picture():
    values = [list(range(101))]
    spec = same_size(values, intensity=Percentile(10, 90))
    expected = np.clip((np.arange(101) - 10) / 80, 0, 1)[None]
    np.testing.assert_allclose(to_tensor(frame(values), spec)[0], expected, atol=1e-6)


def test_percentiles_leave_letterbox_filling_out():
    spec = InputSpec(4, 4, aspect=Aspect.LETTERBOX, intensity=Percentile(0, 100))
    tensor = to_tensor(frame([[100, 120, 180, 200]] * 2), spec)
    np.testing.assert_allclose(tensor[0, 1], [0, 0.2, 0.8, 1], atol=1e-6)
    assert not tensor[0, 0].any()


@pytest.mark.parametrize("value", [0, 77, 255])
def test_picture_of_one_grey_level_is_black_under_percentiles(value):
    values = np.full((3, 3), value)
    spec = same_size(values, intensity=Percentile(1, 99), output_range=(-1, 1))
    assert (to_tensor(frame(values), spec) == -1).all()


def test_letterbox_fills_with_the_low_end():
    spec = InputSpec(4, 8, aspect=Aspect.LETTERBOX, output_range=(-1, 1))
    tensor = to_tensor(frame(np.full((4, 4), 255)), spec)
    assert tensor[0, 0].tolist() == [-1, -1, 1, 1, 1, 1, -1, -1]


def test_crop_takes_the_centre():
    spec = InputSpec(2, 2, aspect=Aspect.CROP, resample=Resample.AREA)
    tensor = to_tensor(frame([[9, 10, 20, 9], [9, 30, 40, 9]]), spec)
    np.testing.assert_allclose(tensor[0] * 255, [[10, 20], [30, 40]], atol=1e-4)


def test_three_channels_are_equal(radiograph):
    (picture,) = decode(radiograph)
    one = to_tensor(picture, InputSpec(64, 48))
    three = to_tensor(picture, InputSpec(64, 48, channels=3))
    assert three.shape == (3, 64, 48)
    assert three.flags.c_contiguous
    assert all(np.array_equal(channel, one[0]) for channel in three)


@pytest.mark.parametrize("resample", Resample)
@pytest.mark.parametrize("aspect", Aspect)
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (33, 77)])
def test_all_values_lie_in_the_output_range(resample, aspect, shape):
    samples = np.random.default_rng(5).integers(0, 4096, shape)
    spec = InputSpec(16, 24, resample=resample, aspect=aspect, output_range=(-1024, 1024))
    for intensity in (spec.intensity, Window(0.5, 1e-6), Window(0.5, 1e6), Percentile(0.5, 99.5)):
        tensor = to_tensor(frame(samples, 12), replace(spec, intensity=intensity))
        assert np.isfinite(tensor).all()
        assert tensor.min() >= -1024
        assert tensor.max() <= 1024


def test_the_frame_is_not_changed(radiograph):
    (picture,) = decode(radiograph)
    before = picture.samples.copy()
    to_tensor(picture, InputSpec(32, 32, intensity=Percentile(1, 99)))
    np.testing.assert_array_equal(picture.samples, before)
