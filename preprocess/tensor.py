"""The model's input, made from a frame."""

import numpy as np
from numpy.typing import NDArray

from preprocess.geometry import place, resample
from preprocess.types import Frame, FullRange, InputSpec, Intensity, Percentile, Samples, Window


def to_tensor(frame: Frame, spec: InputSpec) -> NDArray[np.float32]:
    """The input tensor of a model, shape (channels, rows, columns), C-contiguous.

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
    size = (spec.rows, spec.columns)
    placement = place((frame.samples.shape[0], frame.samples.shape[1]), size, spec.aspect)
    top, left, rows, columns = placement.source
    part = frame.samples[top : top + rows, left : left + columns]
    top, left, rows, columns = placement.target
    small = resample(part, (rows, columns), spec.resample)

    low, high = spec.output_range
    tensor = np.full((spec.channels, *size), low, dtype=np.float32)
    first = tensor[0, top : top + rows, left : left + columns]
    scale(small, frame.largest, spec.intensity, (low, high), out=first)
    tensor[1:] = tensor[0]
    return tensor


def scale(
    samples: Samples,
    largest: int,
    intensity: Intensity,
    output_range: tuple[float, float],
    *,
    out: NDArray[np.float32],
) -> None:
    """Write the samples, windowed and spread over the output range, into `out`.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16
        Not changed.
    largest : int
        Value of white in `samples`.
    intensity : FullRange, Window or Percentile
    output_range : (low, high)
        Values of black and white in `out`.
    out : ndarray of float32, the shape of `samples`
    """
    black, white = _bounds(samples, largest, intensity)
    low, high = output_range
    if white <= black:  # a picture of one grey level has no contrast to show
        out[...] = low
        return
    gain = (high - low) / (white - black)
    np.multiply(samples, np.float32(gain), out=out)
    out += np.float32(low - black * gain)
    np.clip(out, min(low, high), max(low, high), out=out)


def _bounds(samples: Samples, largest: int, intensity: Intensity) -> tuple[float, float]:
    """Sample values that become black and white."""
    match intensity:
        case FullRange():
            return 0.0, float(largest)
        case Window(center, width):
            return (center - width / 2) * largest, (center + width / 2) * largest
        case Percentile(low, high):
            black, white = np.percentile(samples, (low, high))
            return float(black), float(white)
