"""Bits that the samples of a picture use, where the file declares more of them.

Detectors give 8 to 16 bits; files often declare 16 whatever the detector gave, in PNG as in DICOM.
Shown over the declared range, 10 bits in 16 are nearly black. One rule serves both formats, so that
a radiograph is the same picture in either.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

DETECTOR_BITS = (8, 10, 12, 14, 15, 16)
"""Depths that detectors have."""

# Share of the pixels, at either end, that may lie beyond the depth: a hot pixel of 65,535 must not
# make 12 bits nearly black. A thousandth is 5,000 pixels of a large radiograph, and less than a
# fifth of what the blank-picture rule leaves out (`preprocess.contrast`).
_STRAY_SHARE = 0.001
_SMALL_PIXELS = 64  # a smaller picture is taken as it is, a larger one has at least one stray pixel
_OVERSHOOT = 8  # parts of the largest value, of which one may lie below 0


def bits_in_use(largest: int, declared_bits: int = 16) -> int:
    """Return the least depth of a detector that holds the largest sample.

    Parameters
    ----------
    largest : int
        0 to 65,535.
    declared_bits : int
        Bits that the file declares; never exceeded.
    """
    held = next(bits for bits in DETECTOR_BITS if largest < 1 << bits)
    return min(held, declared_bits)


def histogram(samples: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many samples have each value.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16, shape (rows, columns)
        Not changed.

    Returns
    -------
    ndarray of int64, shape (256,) or (65536,)
    """
    values = 1 << (8 * samples.itemsize)
    counts = cv2.calcHist([np.ascontiguousarray(samples)], [0], None, [values], [0, values])
    return np.asarray(counts, dtype=np.int64).reshape(-1)


def extremes(counts: NDArray[np.integer]) -> tuple[int, int]:
    """Return the least and the greatest value of a histogram, stray pixels left out.

    Parameters
    ----------
    counts : ndarray of int64, shape (values,)
        Pixels of each value; (0, 0) is returned where there are none.
    """
    total = int(counts.sum())
    if total == 0:
        return 0, 0
    stray = max(int(total * _STRAY_SHARE), int(total >= _SMALL_PIXELS))
    below = np.cumsum(counts)
    low = int(np.searchsorted(below, stray, side="right"))
    high = int(np.searchsorted(below, total - stray, side="left"))
    return low, high


def range_in_use(low: int, high: int, declared_bits: int, *, signed: bool) -> tuple[int, int, int]:
    """Return the stored values that are black and white, and the bits that they span.

    Parameters
    ----------
    low, high : int
        The least and the greatest stored value of the picture.
    declared_bits : int
        Bits Stored.
    signed : bool
        Stored values are two's complement.

    Notes
    -----
    Values from 0 on are a detector's own, in a signed file too, and a little below 0 is where a
    filter or a lossy coding overshot. Other negative values are taken for two's complement of the
    least depth that holds both ends, or, where that has fewer bits, for values with an offset of a
    power of two, such as -1024 to 3071.
    """
    if not signed:
        bits = bits_in_use(high, declared_bits)
        return 0, (1 << bits) - 1, bits
    greatest = (1 << (declared_bits - 1)) - 1
    if -low * _OVERSHOOT <= high:
        bits = bits_in_use(high, declared_bits)
        return 0, min((1 << bits) - 1, greatest), bits
    reach = max(-low - 1, high, 0)
    bits = bits_in_use(2 * reach + 1, declared_bits)
    black = -(1 << (bits - 1))
    offset = 1 << (-low - 1).bit_length()
    offset_bits = bits_in_use(max(high, 0) + offset, declared_bits)
    if offset_bits < bits:
        bits, black = offset_bits, -offset
    return black, min(black + (1 << bits) - 1, greatest), bits
