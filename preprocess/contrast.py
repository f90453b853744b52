"""Contrast and saturation: what can be said of a picture's pixels without a model.

A blank picture must not even be put to a model: it would answer it like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.depth import histogram
from preprocess.errors import NoContrastError
from preprocess.types import Frame, FullRange, GreyRange, Intensity, Window

# Of the way from black to white, between the two percentiles; less what doubles round away.
_LEAST = 2 / 255 - 1e-9
_ROUNDING = 1e-6  # levels that a grey loses as a share of the range and back
_STEP = 4  # rows and columns, from one sample that is looked at first to the next
_TAIL = 0.005  # share of the pixels below the one percentile, and above the other


def check_contrast(frames: Sequence[Frame], intensity: Intensity | None = None) -> None:
    """Refuse an object of which any frame is blank: black, white, or empty but for stray pixels.

    A frame is blank if its 0.5th and 99.5th percentile lie less than 2 of 255 apart.

    Parameters
    ----------
    frames : sequence of Frame
        Of one file; not changed.
    intensity : FullRange, Window or Percentile, optional
        Of the model: what a window of its contract cuts off does not count. Percentiles cut off
        nothing but the ends.

    Raises
    ------
    NoContrastError
        Naming the blank frames where there are several. The object is refused as a whole: its
        frames are one acquisition, and an empty one is more often a file that was cut short than a
        picture.
    """
    blank = [
        number
        for number, frame in enumerate(frames, 1)
        if _is_blank(frame, intensity or FullRange())
    ]
    if blank:
        raise NoContrastError(blank, len(frames))


@dataclass(frozen=True, slots=True)
class GreyShares:
    """Use that a picture makes of the greys a model sees.

    Attributes
    ----------
    contrast : float
        Distance of the 0.5th and the 99.5th percentile, 0 to 1 of the way from black to white.
    black, white : float
        Shares of the pixels, 0 to 1, that are black and white to the model: clipped, or at the end
        of what the samples can hold.
    """

    contrast: float
    black: float
    white: float


def grey_shares(frame: Frame, shown: GreyRange, intensity: Intensity | None = None) -> GreyShares:
    """Return the contrast of a frame, and how much of it is saturated.

    Parameters
    ----------
    frame : Frame
        Not changed.
    shown : GreyRange
        Its black and white to the model.
    intensity : FullRange, Window or Percentile, optional
        Of the model; see `check_contrast` for what counts as contrast.
    """
    counts = histogram(frame.samples)
    total = int(counts.sum())
    below = np.cumsum(counts)
    black = _rank(below, math.floor(shown.black * frame.largest + _ROUNDING))
    white = total - _rank(below, math.ceil(shown.white * frame.largest - _ROUNDING) - 1)
    contrast = _distance(counts, _tail(total), frame.largest, intensity or FullRange())
    return GreyShares(max(contrast, 0.0), black / total, white / total)


def _rank(below: NDArray[np.int64], value: int) -> int:
    """Return the number of samples up to a value, which may lie outside of what they can hold."""
    return 0 if value < 0 else int(below[min(value, len(below) - 1)])


def _tail(pixels: int) -> int:
    return math.ceil(_TAIL * (pixels - 1))


def _is_blank(frame: Frame, intensity: Intensity) -> bool:
    """Return True if the two percentiles of the frame lie too near to each other.

    A sixteenth of the samples is mostly enough: as many of them below one level, and above another,
    as the tails of the whole picture hold prove that its percentiles lie no nearer. Otherwise all
    are counted, so that the answer is exact.
    """
    tail = _tail(frame.samples.size)
    some = frame.samples[::_STEP, ::_STEP]
    return all(
        _distance(histogram(samples), tail, frame.largest, intensity) < _LEAST
        for samples in (some, frame.samples)
    )


def _distance(counts: NDArray[np.int64], tail: int, largest: int, intensity: Intensity) -> float:
    """Return how far two samples lie apart, as a share of the way from black to white.

    They are those with `tail` samples below the one and above the other: whole numbers, so that one
    stray pixel is in a tail however small the picture. Below 0 where there are not as many.
    """
    below = np.cumsum(counts)
    ranks = tail, int(below[-1]) - 1 - tail
    low, high = (float(np.searchsorted(below, rank, side="right")) / largest for rank in ranks)
    if isinstance(intensity, Window):
        black = intensity.center - intensity.width / 2
        low, high = (min(max((share - black) / intensity.width, 0.0), 1.0) for share in (low, high))
    return high - low
