"""The values that pass between decoding and the tensor."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Buffer: TypeAlias = bytes | bytearray | memoryview
Samples: TypeAlias = NDArray[np.uint8 | np.uint16]
StoredSamples: TypeAlias = NDArray[np.integer]
Box: TypeAlias = tuple[float, float, float, float]
"""Top, left, bottom and right, in samples."""


class MediaType(StrEnum):
    """The formats taken, by their media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    DICOM = "application/dicom"


@dataclass(frozen=True, slots=True)
class Header:
    """Properties of a picture as its file declares them, before any pixel is decoded.

    Attributes
    ----------
    media_type : MediaType
    rows, columns : int
        Size as it will be decoded, that is after the Exif orientation has been applied.
    bits_stored : int
        Bits of a sample as the file declares them.
    frames : int
    samples_per_pixel : int
        Channels as stored: 1 for grey or palette, 3 for colour, 4 for CMYK, and alpha counts.
    """

    media_type: MediaType
    rows: int
    columns: int
    bits_stored: int
    frames: int = 1
    samples_per_pixel: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded radiograph: grey, upright, larger means brighter (MONOCHROME2).

    Attributes
    ----------
    samples : ndarray of uint8 or uint16, shape (rows, columns)
        `uint8` if `bits_stored` is at most 8, `uint16` otherwise. Smaller than `rows` x `columns`
        only where a reduced size was asked for.
    bits_stored : int
        1 to 16. The full range of `samples` is [0, 2**bits_stored - 1].
    rows, columns : int
        Size of the whole picture as sent, after orientation.
    warnings : tuple of str
        Sentences about what its file says that was not usable, the same for all frames of a file.
    reduction : int
        Rows and columns of the picture that a sample stands for.
    overhang : (rows, columns)
        Part of the first row and column of samples that lies outside of the picture, in samples.
        Where the reduction does not divide its size, a sample on one of two edges juts out.
    """

    samples: Samples
    bits_stored: int
    rows: int
    columns: int
    warnings: tuple[str, ...] = ()
    reduction: int = 1
    overhang: tuple[float, float] = (0.0, 0.0)

    def box(self, part: tuple[int, int, int, int] | None = None) -> Box:
        """Return the place of a part of the picture among the samples.

        Parameters
        ----------
        part : (top, left, rows, columns), optional
            In the picture's own pixels; the whole picture if left out.
        """
        top, left, rows, columns = part or (0, 0, self.rows, self.columns)
        first_row = self.overhang[0] + top / self.reduction
        first_column = self.overhang[1] + left / self.reduction
        return (
            first_row,
            first_column,
            first_row + rows / self.reduction,
            first_column + columns / self.reduction,
        )

    @property
    def largest(self) -> int:
        """Largest value a sample can have."""
        return (1 << self.bits_stored) - 1


@dataclass(frozen=True, slots=True)
class GreyRange:
    """Part of a frame's full range that a model saw, from its black to its white.

    Attributes
    ----------
    black, white : float
        In fractions of the full range. What lies outside is clipped; all is black unless `white`
        is the greater.
    """

    black: float = 0.0
    white: float = 1.0


class Resample(StrEnum):
    """Method that brings samples to the size of the model's input.

    `AREA` averages the exact area that an output pixel covers. `BILINEAR` is Pillow's antialiased
    triangle filter, whose support grows with the reduction.
    """

    AREA = "area"
    BILINEAR = "bilinear"


class Aspect(StrEnum):
    """Treatment of a picture whose shape differs from the model input's.

    `STRETCH` resizes each axis for itself. `LETTERBOX` fits the whole picture and fills the rest
    with the low end of the output range. `CROP` cuts the centre to the input's shape first.
    """

    STRETCH = "stretch"
    LETTERBOX = "letterbox"
    CROP = "crop"


@dataclass(frozen=True, slots=True)
class FullRange:
    """The whole range of the stored bits is spread over the output range."""


@dataclass(frozen=True, slots=True)
class Window:
    """A linear window; what lies outside is clipped.

    Attributes
    ----------
    center, width : float
        In fractions of the full range, so that one window fits every bit depth. `width` > 0.
    """

    center: float
    width: float

    def __post_init__(self) -> None:
        if not (isfinite(self.center) and isfinite(self.width) and self.width > 0):
            raise ValueError("a window needs a finite center and a width above 0")


@dataclass(frozen=True, slots=True)
class Percentile:
    """A linear window between two percentiles of the resampled picture; the rest is clipped.

    Attributes
    ----------
    low, high : float
        0 <= low < high <= 100. Taken with linear interpolation, letterbox filling left out.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise ValueError("percentiles need 0 <= low < high <= 100")


Intensity: TypeAlias = FullRange | Window | Percentile


_LONGEST_SIDE = 8192


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Picture input of a model, as its contract specifies it.

    Attributes
    ----------
    rows, columns : int
        Size of the input, 1 to 8192 each.
    channels : int
        1, or 3 for three equal channels.
    resample : Resample
    aspect : Aspect
    intensity : FullRange, Window or Percentile
    output_range : (low, high)
        Values that black and white take in the tensor; both finite and different. `low` may be the
        greater, for a model that was trained on inverted pictures.
    """

    rows: int
    columns: int
    channels: int = 1
    resample: Resample = Resample.BILINEAR
    aspect: Aspect = Aspect.STRETCH
    intensity: Intensity = field(default_factory=FullRange)
    output_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= _LONGEST_SIDE and 1 <= self.columns <= _LONGEST_SIDE):
            raise ValueError(f"rows and columns must lie between 1 and {_LONGEST_SIDE}")
        if self.channels not in (1, 3):
            raise ValueError("channels must be 1 or 3")
        low, high = self.output_range
        if not (isfinite(low) and isfinite(high) and low != high):
            raise ValueError("output_range needs two finite, different values")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what decoding one file may cost.

    Attributes
    ----------
    pixels : int
        Rows x columns x samples per pixel x frames, as declared.
    frames : int
        Frames of a multi-frame object.
    jpeg_scans : int
        Scans of a JPEG: each is a pass over the whole picture. Ten are usual in a progressive one.
    inflated_bytes : int
        Size to which a deflated DICOM data set may grow.
    """

    pixels: int = 100_000_000
    frames: int = 64
    jpeg_scans: int = 100
    inflated_bytes: int = 128 << 20
