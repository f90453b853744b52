"""Statistics of a model's input tensor, by which a change of the pictures that it is sent shows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.depth import histogram
from preprocess.tensor import to_tensor
from preprocess.types import Frame, InputSpec

_LEVELS = 256
_BINS = 64  # of the entropy: fewer than levels, so that a small picture can fill them
_MARGIN = 16  # parts of a side, of which one at either end is the border


@dataclass(frozen=True, slots=True)
class TensorStatistics:
    """Statistics of one picture as a model sees it, with black as 0 and white as 1.

    Attributes
    ----------
    mean, deviation : float
        Mean grey, 0 to 1, and standard deviation, 0 to 0.5.
    entropy : float
        Shannon entropy of the grey levels in 64 bins, as a share of 6 bits: 0 for a flat picture,
        1 for levels that are all alike in number.
    saturation : float
        Share of the pixels that are black or white.
    border : float
        Mean grey of the outer sixteenth at each side.
    """

    mean: float
    deviation: float
    entropy: float
    saturation: float
    border: float


def tensor_statistics(tensor: NDArray[np.float32], spec: InputSpec) -> TensorStatistics:
    """Return the statistics of an input tensor.

    Parameters
    ----------
    tensor : ndarray of float32, shape (channels, rows, columns)
        As `to_tensor` makes it; not changed. The first channel is looked at: all are alike.
    spec : InputSpec
        Specification that it was made by.

    Notes
    -----
    Grey is looked at in 256 levels, so that each figure is exact to 1/510.
    """
    low, high = spec.output_range
    scaled = (tensor[0] - np.float32(low)) * np.float32((_LEVELS - 1) / (high - low))
    levels = (scaled + np.float32(0.5)).astype(np.uint8)
    counts = histogram(levels)
    shares = counts / levels.size
    greys = np.arange(_LEVELS) / (_LEVELS - 1)
    mean = float(shares @ greys)
    return TensorStatistics(
        mean=mean,
        deviation=math.sqrt(max(0.0, float(shares @ np.square(greys)) - mean**2)),
        entropy=_entropy(shares.reshape(_BINS, -1).sum(axis=1)),
        saturation=float(shares[0] + shares[-1]),
        border=_border(levels),
    )


def sampled_statistics(frame: Frame, spec: InputSpec) -> TensorStatistics:
    """Return nearly the statistics of the tensor of a frame that is made a tensor elsewhere.

    The frame is thinned first, to twice the rows and columns of the input at the least: resampling
    a large radiograph once more would cost milliseconds.

    Parameters
    ----------
    frame : Frame
        Not changed.
    spec : InputSpec
    """
    rows, columns = frame.samples.shape
    step = max(1, min(rows // (2 * spec.rows), columns // (2 * spec.columns)))
    thin = np.ascontiguousarray(frame.samples[::step, ::step])
    small = Frame(thin, frame.bits_stored, thin.shape[0], thin.shape[1])
    return tensor_statistics(to_tensor(small, spec), spec)


def _entropy(shares: NDArray[np.float64]) -> float:
    """Return Shannon's entropy of shares that add up to 1, as a share of the most it can be."""
    some = shares[shares > 0]
    return max(0.0, float(-(some @ np.log2(some))) / math.log2(_BINS))


def _border(levels: NDArray[np.uint8]) -> float:
    """Return the mean of the outer sixteenth at each side, 0 to 1; of all in a tiny picture."""
    rows, columns = levels.shape
    high, wide = max(1, rows // _MARGIN), max(1, columns // _MARGIN)
    inner = levels[high : rows - high, wide : columns - wide]
    total = int(levels.sum(dtype=np.int64)) - int(inner.sum(dtype=np.int64))
    return total / (levels.size - inner.size) / (_LEVELS - 1)
