"""Blank pictures, which a model must not be asked about: it would answer them like any other."""

import math
from collections.abc import Sequence

import numpy as np

from preprocess.depth import histogram
from preprocess.errors import NoContrastError
from preprocess.types import Frame, FullRange, Intensity, Window

# Of the way from black to white, between the two percentiles; less what doubles round away.
_LEAST = 2 / 255 - 1e-9
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
        if _contrast(frame, intensity or FullRange()) < _LEAST
    ]
    if blank:
        raise NoContrastError(blank, len(frames))


def _contrast(frame: Frame, intensity: Intensity) -> float:
    """Return the distance of the percentiles, as a share of the way from black to white.

    Percentiles are exact, by a histogram of all samples. Their ranks are rounded inwards, so that
    one stray pixel is none of them, however small the picture.
    """
    below = np.cumsum(histogram(frame.samples))
    last = int(below[-1]) - 1
    ranks = math.ceil(_TAIL * last), math.floor((1 - _TAIL) * last)
    low, high = (
        float(np.searchsorted(below, rank, side="right")) / frame.largest for rank in ranks
    )
    if isinstance(intensity, Window):
        black = intensity.center - intensity.width / 2
        low, high = (min(max((share - black) / intensity.width, 0.0), 1.0) for share in (low, high))
    return high - low
