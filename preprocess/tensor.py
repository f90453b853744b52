"""The model's input, made from a frame."""

import numpy as np
from numpy.typing import NDArray

from preprocess.geometry import place, resample
from preprocess.types import (
    Frame,
    FullRange,
    GreyRange,
    InputSpec,
    Intensity,
    Percentile,
    Samples,
    Window,
)


def to_tensor(frame: Frame, spec: InputSpec) -> NDArray[np.float32]:
    """Return the input tensor of a model, shape (channels, rows, columns), C-contiguous.

    The picture is cut or fitted, resampled, windowed and scaled, in this order. Whatever the spec,
    the samples are read once, at their own depth, and only the small result is turned into floats.

    Parameters
    ----------
    frame : Frame
        Not changed.
    spec : InputSpec

    Returns
    -------
    ndarray of float32
        All values lie within `spec.output_range`.
    """
    return to_shown_tensor(frame, spec)[0]


def to_shown_tensor(frame: Frame, spec: InputSpec) -> tuple[NDArray[np.float32], GreyRange]:
    """Return the tensor of `to_tensor`, and what was black and white in it."""
    size = (spec.rows, spec.columns)
    small, (top, left, rows, columns) = _fitted(frame, spec)
    bounds = _bounds(small, frame.largest, spec.intensity)
    low, high = spec.output_range
    tensor = np.full((spec.channels, *size), low, dtype=np.float32)
    first = tensor[0, top : top + rows, left : left + columns]
    _scale(small, bounds, (low, high), out=first)
    tensor[1:] = tensor[0]
    return tensor, _shares(bounds, frame.largest)


def grey_range(frame: Frame, spec: InputSpec) -> GreyRange:
    """Return what is black and white in the model's tensor, where that is made elsewhere.

    Only percentiles need the picture: it is resampled for them.

    Parameters
    ----------
    frame : Frame
        Not changed.
    spec : InputSpec
    """
    small = _fitted(frame, spec)[0] if isinstance(spec.intensity, Percentile) else frame.samples
    return _shares(_bounds(small, frame.largest, spec.intensity), frame.largest)


def _fitted(frame: Frame, spec: InputSpec) -> tuple[Samples, tuple[int, int, int, int]]:
    """Return the resampled picture, and what part of the input it fills: top, left and size."""
    placement = place((frame.rows, frame.columns), (spec.rows, spec.columns), spec.aspect)
    box = frame.box(placement.source)
    return resample(frame.samples, placement.target[2:], spec.resample, box), placement.target


def _shares(bounds: tuple[float, float], largest: int) -> GreyRange:
    black, white = bounds
    return GreyRange(black / largest, white / largest)


def _scale(
    samples: Samples,
    bounds: tuple[float, float],
    output_range: tuple[float, float],
    *,
    out: NDArray[np.float32],
) -> None:
    """Write the samples, spread from the bounds over the output range, into `out`.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16
        Not changed.
    bounds : (black, white)
        Sample values.
    output_range : (low, high)
        Values of black and white in `out`.
    out : ndarray of float32, the shape of `samples`
    """
    black, white = bounds
    low, high = output_range
    if white <= black:  # a picture of one grey level has no contrast to show
        out[...] = low
        return
    gain = (high - low) / (white - black)
    np.multiply(samples, np.float32(gain), out=out)
    out += np.float32(low - black * gain)
    np.clip(out, min(low, high), max(low, high), out=out)


def _bounds(samples: Samples, largest: int, intensity: Intensity) -> tuple[float, float]:
    """Return sample values that become black and white."""
    match intensity:
        case FullRange():
            return 0.0, float(largest)
        case Window(center, width):
            return (center - width / 2) * largest, (center + width / 2) * largest
        case Percentile(low, high):
            black, white = np.percentile(samples, (low, high))
            return float(black), float(white)
