"""Placement of a picture in the model's input, and the resampling of its samples."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocess.types import Aspect, Box, Resample, Samples


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


def resample(
    samples: Samples, size: tuple[int, int], method: Resample, box: Box | None = None
) -> Samples:
    """Return the samples at another size, rounded to whole grey levels, C-contiguous.

    Parameters
    ----------
    samples : ndarray of uint8 or uint16, shape (rows, columns)
        Not changed.
    size : (rows, columns)
    method : Resample
    box : Box, optional
        The part that fills the new size; all samples if left out. Its edges may cut samples, as
        they do in a JPEG that was reduced by what does not divide its size.

    Notes
    -----
    `BILINEAR` is Pillow's own: on 8 bits the very numbers of `Image.resize(..., BILINEAR)`.
    `AREA` is OpenCV's INTER_AREA, one axis after the other where one of them grows, since OpenCV
    averages areas only if neither does. It knows no edge within a sample: those are averaged here.
    All release the GIL.
    """
    top, left, bottom, right = box or (0, 0, *samples.shape)
    rows, columns = slice(int(top), math.ceil(bottom)), slice(int(left), math.ceil(right))
    part = np.ascontiguousarray(samples[rows, columns])
    inner = (left - columns.start, top - rows.start, right - columns.start, bottom - rows.start)
    whole = inner == (0, 0, part.shape[1], part.shape[0])
    if whole and part.shape == size:
        return part
    if method is Resample.BILINEAR:
        new_size = (size[1], size[0])
        image = Image.fromarray(part)
        return np.asarray(image.resize(new_size, Image.Resampling.BILINEAR, box=inner))
    if not whole:
        down = _shares(part.shape[0], size[0], inner[1], inner[3])
        across = _shares(part.shape[1], size[1], inner[0], inner[2])
        averaged: Samples = np.rint(down @ part @ across.T).astype(part.dtype)
        return averaged
    if size[0] > part.shape[0] or size[1] > part.shape[1]:
        part = _average(part, part.shape[0], size[1])
    return _average(part, *size)


def _average(samples: Samples, rows: int, columns: int) -> Samples:
    averaged = cv2.resize(samples, (columns, rows), interpolation=cv2.INTER_AREA)
    return averaged.astype(samples.dtype, copy=False)


def _shares(length: int, cells: int, first: float, last: float) -> NDArray[np.float32]:
    """Return the share of each sample in each cell, shape (cells, length); rows sum up to 1.

    The cells divide what lies from `first` to `last` along an axis of so many samples.
    """
    edges = np.linspace(first, last, cells + 1)[:, None]
    samples = np.arange(length)
    covered = np.minimum(edges[1:], samples + 1) - np.maximum(edges[:-1], samples)
    return np.asarray(np.maximum(covered, 0) * cells / (last - first), dtype=np.float32)
