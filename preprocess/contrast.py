"""Blank pictures, which a model must not be asked about: it would answer them like any other."""

import math
from collections.abc import Sequence

import numpy as np

from preprocess.depth import histogram
from preprocess.errors import NoContrastError
from preprocess.types import Frame, FullRange, Intensity, Samples, Window

# Of the way from black to white, between the two percentiles; less what doubles round away.
_LEAST = 2 / 255 - 1e-9
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


def _is_blank(frame: Frame, intensity: Intensity) -> bool:
    """Return True if the two percentiles of the frame lie too near to each other.

    A sixteenth of the samples is mostly enough: as many of them below one level, and above another,
    as the tails of the whole picture hold prove that its percentiles lie no nearer. Otherwise all
    are counted, so that the answer is exact.
    """
    tail = math.ceil(_TAIL * (frame.samples.size - 1))
    some = frame.samples[::_STEP, ::_STEP]
    return all(
        _distance(samples, tail, frame.largest, intensity) < _LEAST
        for samples in (some, frame.samples)
    )


def _distance(samples: Samples, tail: int, largest: int, intensity: Intensity) -> float:
    """Return how far two samples lie apart, as a share of the way from black to white.

    They are those with `tail` samples below the one and above the other: whole numbers, so that one
    stray pixel is in a tail however small the picture. Below 0 where there are not as many.
    """
    below = np.cumsum(histogram(samples))
    ranks = tail, int(below[-1]) - 1 - tail
    low, high = (float(np.searchsorted(below, rank, side="right")) / largest for rank in ranks)
    if isinstance(intensity, Window):
        black = intensity.center - intensity.width / 2
        low, high = (min(max((share - black) / intensity.width, 0.0), 1.0) for share in (low, high))
    return high - low
