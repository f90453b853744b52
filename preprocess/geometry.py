"""Placement of a picture in the model's input, and the resampling of its samples."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from preprocess.types import Aspect, Resample, Samples


@dataclass(frozen=True, slots=True)
class Placement:
    """Part of the picture that is resampled, and part of the input that it fills.

    Attributes
    ----------
    source : (top, left, rows, columns)
        The part of the picture that is resampled.
    target : (top, left, rows, columns)
        The part of the input that it fills.
    """

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]

    def covered(
        self, shape: tuple[int, int], size: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """Return top, left, bottom and right of the whole input, in fractions of the picture.

        Where the input is wider or taller than what was fitted into it they lie outside of 0 to 1.

        Parameters
        ----------
        shape, size : (rows, columns)
            Of picture and input, as `place` had them.
        """
        edges = []
        for axis in (0, 1):
            scale = self.source[axis + 2] / self.target[axis + 2]
            first = self.source[axis] - self.target[axis] * scale
            edges.append((first / shape[axis], (first + size[axis] * scale) / shape[axis]))
        (top, bottom), (left, right) = edges
        return top, left, bottom, right


def place(shape: tuple[int, int], size: tuple[int, int], aspect: Aspect) -> Placement:
    """Return the placement of a picture of `shape` in an input of `size`, both (rows, columns).

    Sizes are rounded half up in whole numbers and never fall below 1; what is left over on a side
    is halved, the greater half at the bottom and at the right.
    """
    rows, columns = shape
    to_rows, to_columns = size
    source, target = (0, 0, rows, columns), (0, 0, to_rows, to_columns)
    taller = rows * to_columns > columns * to_rows
    if aspect is Aspect.LETTERBOX:
        fit_rows = to_rows if taller else _rounded(rows * to_columns, columns)
        fit_columns = _rounded(columns * to_rows, rows) if taller else to_columns
        target = ((to_rows - fit_rows) // 2, (to_columns - fit_columns) // 2, fit_rows, fit_columns)
    elif aspect is Aspect.CROP:
        cut_rows = _rounded(columns * to_rows, to_columns) if taller else rows
        cut_columns = columns if taller else _rounded(rows * to_columns, to_rows)
        source = ((rows - cut_rows) // 2, (columns - cut_columns) // 2, cut_rows, cut_columns)
    return Placement(source, target)


def _rounded(numerator: int, denominator: int) -> int:
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def resample(samples: Samples, size: tuple[int, int], method: Resample) -> Samples:
    """Return the samples at another size, rounded to whole grey levels, C-contiguous.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16, shape (rows, columns)
        Not changed.
    size : (rows, columns)
    method : Resample

    Notes
    -----
    `BILINEAR` is Pillow's own: on 8 bits the very numbers of `Image.resize(..., BILINEAR)`.
    `AREA` is OpenCV's INTER_AREA, one axis after the other where one of them grows, since OpenCV
    averages areas only if neither does. Both release the GIL.
    """
    rows, columns = size
    if samples.shape == size:
        return np.ascontiguousarray(samples)
    if method is Resample.BILINEAR:
        image = Image.fromarray(np.ascontiguousarray(samples))
        return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))
    if rows > samples.shape[0] or columns > samples.shape[1]:
        samples = _average(samples, samples.shape[0], columns)
    return _average(samples, rows, columns)


def _average(samples: Samples, rows: int, columns: int) -> Samples:
    averaged = cv2.resize(samples, (columns, rows), interpolation=cv2.INTER_AREA)
    return averaged.astype(samples.dtype, copy=False)
