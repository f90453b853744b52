"""From stored values to what a viewer would show, as one table over all stored values.

The transformations are worked out once for each value that the stored bits can hold (at most
65,536), and the picture passes through the table once. So their arithmetic is in float64 and costs
nothing, however large the picture.

pydicom's `apply_voi_lut` computes each pixel, in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess import display as display_module
from preprocess.attributes import Attributes
from preprocess.depth import DETECTOR_BITS, extremes, range_in_use
from preprocess.display import DisplayAttributes, modality, voi
from preprocess.errors import CorruptImageError, UnsupportedImageError
from preprocess.image import ImagePixel
from preprocess.lut import Floats, read_table

KEYWORDS = (
    *display_module.KEYWORDS,
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
)

_PALETTE = "a Palette Color Lookup Table has entries of other bits than its descriptor says,"
_LUMA = {"Red": 0.299, "Green": 0.587, "Blue": 0.114}  # ITU-R BT.601

Counts = Callable[[], NDArray[np.integer]]
"""Gives the pixels of each stored value in all frames of an object, the least value first."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """Grey levels that a frame's stored values become.

    Attributes
    ----------
    levels : ndarray of uint8 or uint16, shape (2**bits_stored,)
        Grey level for each stored value, the least (most negative) value first. 0 is black.
    bits : int
        The levels' full range is [0, 2**bits - 1].
    warnings : tuple of str
        Sentences about attributes that were not usable.
    """

    levels: NDArray[np.uint8 | np.uint16]
    bits: int
    warnings: tuple[str, ...] = ()


def presentation(
    image: ImagePixel, attributes: Attributes, display: DisplayAttributes, counts: Counts
) -> Presentation:
    """Return the grey levels of every stored value.

    The order is: modality LUT or rescale, VOI LUT or window, inversion of MONOCHROME1; padding is
    black. Without VOI LUT and window the range of the bits that are in use is shown.

    Parameters
    ----------
    image : ImagePixel
    attributes : Attributes
        Of the data set.
    display : DisplayAttributes
        Of the frame, see `display.frame_attributes`.
    counts : callable
        Asked only where there is no VOI transformation. It counts all frames: they come from one
        detector, and a dark one among them must stay dark.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
        The palette is malformed, or of a kind that is not taken.

    References
    ----------
    DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (Photometric Interpretation),
    C.7.6.3.1.5 and C.7.6.3.1.6 (Palette), C.7.5.1.1.2 (Pixel Padding Value).
    """
    stored = stored_values(image)
    if image.photometric_interpretation == "PALETTE COLOR":
        return _palette_presentation(stored, attributes)
    if image.photometric_interpretation.startswith("YBR_PARTIAL"):
        return _quantised(_partial_range(stored, image), image.bits_stored)

    padding = _padding(stored, image, attributes)
    values, linear, shown, bits = stored, True, None, 16
    if not image.colour:
        values, linear = modality(stored, display, signed=image.signed)
        shown = voi(values, display)
    if shown is None:
        black, white, bits_in_use = _range_in_use(image, padding, counts)
        shown = _spread(values, values[black : white + 1])
        bits = bits_in_use if linear else 16
    if image.photometric_interpretation == "MONOCHROME1":
        shown = 1 - shown
    shown[padding] = 0
    return _quantised(shown, bits, tuple(display.warnings))


def stored_values(image: ImagePixel) -> Floats:
    """Return every value that the stored bits can hold, the least first."""
    stored = np.arange(1 << image.bits_stored, dtype=np.float64)
    return stored - (1 << (image.bits_stored - 1)) if image.signed else stored


def _quantised(shown: Floats, bits: int, warnings: tuple[str, ...] = ()) -> Presentation:
    levels = np.floor(np.clip(shown, 0, 1) * ((1 << bits) - 1) + 0.5)
    return Presentation(levels.astype(np.uint8 if bits <= 8 else np.uint16), bits, warnings)


def _range_in_use(
    image: ImagePixel, padding: NDArray[np.bool_], counts: Counts
) -> tuple[int, int, int]:
    """Return black and white, counted from the least stored value, and the bits they span."""
    if image.bits_stored <= DETECTOR_BITS[0] and not image.signed:  # there is no lesser depth
        return 0, (1 << image.bits_stored) - 1, image.bits_stored
    least = -(1 << (image.bits_stored - 1)) if image.signed else 0
    low, high = (least + index for index in extremes(np.where(padding, 0, counts())))
    black, white, bits = range_in_use(low, high, image.bits_stored, signed=image.signed)
    return black - least, white - least, bits


def _spread(values: Floats, part: Floats) -> Floats:
    """Return the share of white of each value, from the least to the greatest of a part of them.

    Where a modality LUT gives one value throughout that part, all is black.
    """
    bottom, top = part.min(), part.max()
    if bottom == top:
        return np.zeros_like(values)
    spread: Floats = np.clip((values - bottom) / (top - bottom), 0, 1)
    return spread


def _palette_presentation(stored: Floats, attributes: Attributes) -> Presentation:
    """Return luma of the palette's colours for every stored value.

    Some writers declare 16 bits for entries of 8, which would be all but black.
    """
    if "SegmentedRedPaletteColorLookupTableData" in attributes:
        raise UnsupportedImageError("segmented palettes are not taken")
    tables = {
        colour: read_table(
            attributes,
            f"{colour}PaletteColorLookupTableDescriptor",
            f"{colour}PaletteColorLookupTableData",
            signed=bool(stored[0] < 0),
        )
        for colour in _LUMA
    }
    declared = max(table.bits for table in tables.values())
    if declared > 16:
        raise CorruptImageError("a palette's descriptor names more than 16 bits")
    used = max(table.bits_in_use for table in tables.values())
    bits = used if used == 8 else max(declared, used)
    warnings = () if bits == declared else (f"{_PALETTE} {bits}, and was scaled by these",)
    luma = sum(weight * tables[colour].look_up(stored) for colour, weight in _LUMA.items())
    return _quantised(np.asarray(luma / ((1 << bits) - 1)), 16, warnings)


def _partial_range(stored: Floats, image: ImagePixel) -> Floats:
    """Return the share of white of each luma value of YBR_PARTIAL: 16 is black, 235 white."""
    unit = (1 << image.bits_stored) / 256
    return (stored - 16 * unit) / (219 * unit)


def _padding(stored: Floats, image: ImagePixel, attributes: Attributes) -> NDArray[np.bool_]:
    """Return True for the stored values that mark pixels outside of the picture."""
    value = attributes.words("PixelPaddingValue", signed=image.signed)
    if not value or image.colour:  # padding is of grey pictures alone
        return np.zeros(stored.shape, np.bool_)
    limit = attributes.words("PixelPaddingRangeLimit", signed=image.signed) or value
    low, high = sorted((value[0], limit[0]))
    return (stored >= low) & (stored <= high)
