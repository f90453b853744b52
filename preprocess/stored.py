"""Stored values: what the data set makes of the samples that a frame was decoded to.

Uncompressed, RLE and every lossless codestream give the cells of Bits Allocated bits as they were
written. Where in a cell the value lies, and its sign, say Bits Stored, High Bit and Pixel
Representation (PS3.5 8.1.1); the other bits may hold overlays, or anything. A lossy codestream
gives numbers instead, which may overshoot the range and are clipped.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from preprocess.colour import ColourModel, labelled, settle
from preprocess.image import ImagePixel
from preprocess.types import Samples, StoredSamples


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """A decoded frame before its values are read.

    Attributes
    ----------
    samples : ndarray of integers of 8, 16 or 32 bits, shape (rows, columns) or (rows, columns, 3)
        Two-dimensional too for colour that a codec gives as luma.
    lossy : bool
        The samples are numbers, not cells.
    marked : frozenset of ColourModel
        Colour models that a codestream names for its components.
    """

    samples: StoredSamples
    lossy: bool = False
    marked: frozenset[ColourModel] = field(default_factory=frozenset)


def read_values(frame: StoredFrame, image: ImagePixel) -> tuple[Samples, NDArray[np.int64]]:
    """Return grey samples of a frame, and the stored value of each of their bit patterns.

    Parameters
    ----------
    frame : StoredFrame
        Not changed.
    image : ImagePixel

    Returns
    -------
    samples : ndarray of uint8 or uint16, shape (rows, columns), C-contiguous
        Bit patterns; the luma of colour.
    values : ndarray of int64, shape (256,) or (65536,)
        For each pattern the stored value, counted from the least that Bits Stored can hold.

    Raises
    ------
    CorruptImageError
        Colours that are not what they are said to be.
    """
    samples, shift = _narrowed(frame.samples, image)
    values = _values_of_patterns(samples.dtype, image, shift, lossy=frame.lossy)
    patterns: Samples = samples.view(f"u{samples.itemsize}")
    if patterns.ndim == 2:
        return np.ascontiguousarray(patterns), values
    return _luma(np.ascontiguousarray(patterns), values, frame.marked, image)


def _narrowed(samples: StoredSamples, image: ImagePixel) -> tuple[StoredSamples, int]:
    """Return the samples in 8 or 16 bits, and by how many bits they are still to be shifted."""
    shift = image.high_bit + 1 - image.bits_stored
    if samples.itemsize <= 2:
        return samples, shift
    return (samples >> shift).astype(np.uint16), 0  # at most 16 bits are stored


def _values_of_patterns(
    dtype: np.dtype[np.generic], image: ImagePixel, shift: int, *, lossy: bool
) -> NDArray[np.int64]:
    patterns = np.arange(1 << (8 * dtype.itemsize), dtype=np.int64)
    if lossy:
        numbers = patterns.astype(dtype).astype(np.int64) >> shift
        clipped: NDArray[np.int64] = np.clip(numbers - image.least, 0, image.most - image.least)
        return clipped
    stored = (patterns >> shift) & ((1 << image.bits_stored) - 1)
    if image.signed:  # the sign bit turns two's complement into an offset from the least
        stored ^= 1 << (image.bits_stored - 1)
    return stored


def _luma(
    patterns: Samples,
    values: NDArray[np.int64],
    marked: frozenset[ColourModel],
    image: ImagePixel,
) -> tuple[Samples, NDArray[np.int64]]:
    same = np.arange(len(values))
    if not np.array_equal(values, same):
        patterns = cv2.LUT(patterns, values.astype(patterns.dtype)).astype(patterns.dtype)
    label = labelled(image.photometric_interpretation)
    model = settle(label, marked, patterns, image.bits_stored)
    grey = (
        cv2.cvtColor(patterns, cv2.COLOR_RGB2GRAY) if model is ColourModel.RGB else patterns[..., 0]
    )
    contiguous: Samples = np.ascontiguousarray(grey, dtype=patterns.dtype)
    return contiguous, np.minimum(same, image.most)
