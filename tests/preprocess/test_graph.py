"""The ONNX twin gives the tensor of `to_tensor`, for every rule and every size."""

import itertools
from functools import cache

import numpy as np
import onnxruntime as ort
import pytest

from preprocess import (
    Aspect,
    Frame,
    FullRange,
    InputSpec,
    Percentile,
    Resample,
    Window,
    decode,
    to_tensor,
)
from preprocess.graph import build_graph
from preprocess.tensor import _bounds

RULES = [
    pytest.param(aspect, method, intensity, id=f"{aspect}-{method}-{type(intensity).__name__}")
    for aspect, method, intensity in itertools.product(
        Aspect, Resample, (FullRange(), Window(0.5, 0.4), Percentile(1, 99))
    )
]
DEPTHS = [("UINT8", 8), ("UINT16", 12), ("UINT16", 16)]
SHAPES = [(1, 1), (1, 500), (500, 1), (3, 7), (32, 40), (61, 97), (64, 80), (33, 900), (300, 313)]


@cache
def session(spec: InputSpec, datatype: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(build_graph(spec, datatype).SerializeToString(), options)


def run(spec: InputSpec, datatype: str, frame: Frame) -> np.ndarray:
    largest = np.array([frame.largest], dtype=np.float32)
    return session(spec, datatype).run(None, {"pixels": frame.samples, "largest": largest})[0][0]


def one_grey_level(frame: Frame, spec: InputSpec) -> float:
    """What one grey level of the picture is in the tensor.

    Rounding may put a sample on the other side of an edge between two levels; with percentiles the
    ends of the window may move by as much, which doubles it.
    """
    low, high = spec.output_range
    match spec.intensity:
        case FullRange():
            levels, slack = frame.largest, 1.0
        case Window(_, width):
            levels, slack = frame.largest * width, 1.0
        case Percentile():
            small = np.round(tensor_in_levels(frame, spec))
            black, white = _bounds(small, frame.largest, spec.intensity)
            levels, slack = max(white - black, 1.0), 3.0
    return slack * abs(high - low) / levels


def tensor_in_levels(frame: Frame, spec: InputSpec) -> np.ndarray:
    plain = InputSpec(
        spec.rows,
        spec.columns,
        resample=spec.resample,
        aspect=Aspect.STRETCH if spec.aspect is Aspect.LETTERBOX else spec.aspect,
        output_range=(0.0, float(frame.largest)),
    )
    return to_tensor(frame, plain)[0]


@pytest.mark.parametrize(("aspect", "method", "intensity"), RULES)
def test_both_ways_give_one_tensor(aspect, method, intensity):
    spec = InputSpec(
        32,
        40,
        channels=3,
        resample=method,
        aspect=aspect,
        intensity=intensity,
        output_range=(-1024, 1024),
    )
    random = np.random.default_rng(7)
    for (datatype, bits), shape in itertools.product(DEPTHS, SHAPES):
        samples = random.integers(0, 1 << bits, shape).astype(datatype.lower())
        frame = Frame(samples, bits, *shape)
        expected = to_tensor(frame, spec)
        got = run(spec, datatype, frame)
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        allowed = one_grey_level(frame, spec) * 1.01
        assert np.abs(got - expected).max() <= allowed, (datatype, bits, shape)


def test_by_hand():
    samples = np.array([[0, 100, 200, 40], [0, 0, 0, 0]], dtype=np.uint8)
    spec = InputSpec(1, 2, resample=Resample.AREA, output_range=(0, 255))
    # Each output averages 2x2 samples: (0+100+0+0)/4 and (200+40+0+0)/4.
    assert run(spec, "UINT8", Frame(samples, 8, 2, 4)).tolist() == [[[25.0, 60.0]]]


def test_a_letterbox_is_filled_with_the_low_end():
    samples = np.full((2, 4), 255, dtype=np.uint8)
    spec = InputSpec(4, 4, aspect=Aspect.LETTERBOX, output_range=(-1, 1))
    tensor = run(spec, "UINT8", Frame(samples, 8, 2, 4))[0]
    assert tensor[:, 0].tolist() == [-1.0, 1.0, 1.0, -1.0]


def test_a_picture_of_one_level_has_no_contrast():
    samples = np.full((5, 5), 77, dtype=np.uint8)
    spec = InputSpec(4, 4, intensity=Percentile(1, 99), output_range=(-1, 1))
    assert (run(spec, "UINT8", Frame(samples, 8, 5, 5)) == -1.0).all()


@pytest.mark.parametrize("method", Resample)
def test_committed_radiographs(method, images):
    spec = InputSpec(224, 224, resample=method)
    for path in sorted([*images.glob("*.jpeg"), *images.glob("*.png"), *images.glob("*.dcm")]):
        for frame in decode(path.read_bytes()):
            datatype = frame.samples.dtype.name.upper()
            difference = np.abs(run(spec, datatype, frame) - to_tensor(frame, spec))
            assert difference.max() <= 1.01 / frame.largest, path.name
            assert difference.mean() <= 0.1 / frame.largest, path.name
