"""From stored values to what a viewer would show, as one table over all stored values.

The transformations are worked out once for each value that the stored bits can hold (at most
65,536), and the picture passes through the table once. So their arithmetic is in float64 and costs
nothing, however large the picture.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.attributes import Attributes
from preprocess.errors import CorruptImageError, UnsupportedImageError
from preprocess.image import ImagePixel

KEYWORDS = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

Floats = NDArray[np.float64]
_LUMA = {"Red": 0.299, "Green": 0.587, "Blue": 0.114}  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Presentation:
    """How the stored values of a frame become grey levels.

    Attributes
    ----------
    levels : ndarray of uint8 or uint16, shape (2**bits_stored,)
        Grey level for each stored value, the least (most negative) value first. 0 is black.
    bits : int
        The levels' full range is [0, 2**bits - 1].
    """

    levels: NDArray[np.uint8 | np.uint16]
    bits: int


def frame_attributes(attributes: Attributes, frame: int) -> Attributes:
    """The attributes that hold for one frame of an enhanced multi-frame object.

    Those of its own functional groups come before the shared ones, and those before the data set's.

    References
    ----------
    DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups), C.7.6.16.2.9 (Pixel Value Transformation),
    C.7.6.16.2.10 (Frame VOI LUT).
    """
    groups = attributes.items("SharedFunctionalGroupsSequence")[:1]
    groups += attributes.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    macros = [
        item
        for group in groups
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence")
        for item in group.items(keyword)[:1]
    ]
    return attributes.overlaid(macros) if macros else attributes


def presentation(image: ImagePixel, attributes: Attributes) -> Presentation:
    """The grey levels of every stored value.

    The order is: modality LUT or rescale, VOI LUT or window, inversion of MONOCHROME1; padding is
    black. Without VOI LUT and window the whole range of the stored bits is shown.

    Parameters
    ----------
    image : ImagePixel
    attributes : Attributes
        Of the frame, see `frame_attributes`.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
        A transformation is malformed, unknown, or leaves no contrast.

    References
    ----------
    DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (Photometric Interpretation),
    C.7.6.3.1.5 and C.7.6.3.1.6 (Palette), C.7.5.1.1.2 (Pixel Padding Value).
    """
    stored = np.arange(1 << image.bits_stored, dtype=np.float64)
    if image.signed:
        stored -= 1 << (image.bits_stored - 1)
    if image.photometric_interpretation == "PALETTE COLOR":
        return _quantised(_palette(stored, attributes), 16)
    if image.colour:
        return _quantised(_luma_range(stored, image), image.bits_stored)

    modality = _modality(stored, image, attributes)
    shown, bits = _voi(modality, attributes), 16
    if shown is None:
        low, high = modality.min(), modality.max()
        shown = (modality - low) / (high - low)
        if "ModalityLUTSequence" not in attributes:  # linear: the values need no more bits
            bits = image.bits_stored
    if image.photometric_interpretation == "MONOCHROME1":
        shown = 1 - shown
    shown[_padding(stored, image, attributes)] = 0
    return _quantised(shown, bits)


def _quantised(shown: Floats, bits: int) -> Presentation:
    levels = np.floor(np.clip(shown, 0, 1) * ((1 << bits) - 1) + 0.5)
    return Presentation(levels.astype(np.uint8 if bits <= 8 else np.uint16), bits)


def _modality(stored: Floats, image: ImagePixel, attributes: Attributes) -> Floats:
    """Output of the modality LUT, or of rescale, for every stored value (PS3.3 C.11.1)."""
    if tables := attributes.items("ModalityLUTSequence"):
        table, _ = _lookup(stored, tables[0], signed=image.signed)
        return _with_contrast(table, "the Modality LUT")
    slope = _single(attributes, "RescaleSlope", 1.0)
    intercept = _single(attributes, "RescaleIntercept", 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = stored * slope + intercept
    if not np.isfinite(rescaled).all():
        raise CorruptImageError("Rescale Slope and Intercept lead beyond all numbers")
    return _with_contrast(rescaled, "Rescale Slope")


def _voi(modality: Floats, attributes: Attributes) -> Floats | None:
    """Share of white, 0 to 1, for every modality value; None if there is no VOI transformation.

    Where both a VOI LUT and a window are there, either may be used (C.11.2.1): the LUT is taken,
    being the more specific; of several of a kind the first.
    """
    if tables := attributes.items("VOILUTSequence"):
        entries, bits = _lookup(modality, tables[0], signed=bool(modality.min() < 0))
        return _with_contrast(entries / ((1 << bits) - 1), "the VOI LUT")
    centers, widths = attributes.decimals("WindowCenter"), attributes.decimals("WindowWidth")
    if not centers and not widths:
        return None
    if len(centers) != len(widths):
        raise CorruptImageError("Window Center and Window Width differ in number")
    function = attributes.text("VOILUTFunction") or "LINEAR"
    return _with_contrast(window(modality, centers[0], widths[0], function), "the window")


def window(values: Floats, center: float, width: float, function: str = "LINEAR") -> Floats:
    """Share of white, 0 to 1, that a window gives to each value.

    Parameters
    ----------
    values : ndarray of float64
        Output of the modality transformation; not changed.
    center, width : float
        (0028,1050) Window Center and (0028,1051) Window Width; the width at least 1 for LINEAR,
        above 0 for the others.
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        (0028,1056) VOI LUT Function.

    Raises
    ------
    CorruptImageError
        The width is out of its range.
    UnsupportedImageError
        The function is unknown.

    References
    ----------
    DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if width < 1 if function == "LINEAR" else width <= 0:
        raise CorruptImageError("Window Width is too small")
    match function:
        case "LINEAR":
            if width == 1:
                return (values > center - 0.5).astype(np.float64)
            return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
        case "LINEAR_EXACT":
            return np.clip((values - center) / width + 0.5, 0, 1)
        case "SIGMOID":
            # Beyond 700 exp overflows, where the sigmoid has long been 0 or 1.
            return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
        case _:
            raise UnsupportedImageError("VOI LUT Function is none of those taken")


def _lookup(values: Floats, table: Attributes, *, signed: bool) -> tuple[Floats, int]:
    """Entries of a LUT item for the values, and the bits of an entry (C.11.1.1.1, C.11.2.1.1)."""
    return _entries(values, table, "LUTDescriptor", "LUTData", signed=signed)


def _entries(
    values: Floats, attributes: Attributes, descriptor: str, data: str, *, signed: bool
) -> tuple[Floats, int]:
    unsigned = attributes.words(descriptor)
    raw = attributes.raw(data)
    if len(unsigned) != 3 or raw is None:
        raise CorruptImageError(f"{descriptor} or {data} is missing or malformed")
    length = unsigned[0] or 1 << 16  # 0 stands for 65,536
    first = attributes.words(descriptor, signed=signed)[1]
    bits = unsigned[2]
    if not 8 <= bits <= 16:
        raise CorruptImageError(f"{descriptor} names other than 8 to 16 bits")
    # Entries of 8 bits may come two to a word, or one to a word like the others.
    packed = bits == 8 and len(raw) < 2 * length
    entries = np.frombuffer(raw, np.uint8) if packed else attributes.as_words(raw[: 2 * length])
    if len(entries) < length:
        raise CorruptImageError(f"{data} is shorter than {descriptor} says")
    index = np.clip(np.floor(values + 0.5) - first, 0, length - 1).astype(np.int64)
    return entries[index].astype(np.float64), bits


def _palette(stored: Floats, attributes: Attributes) -> Floats:
    """Luma, 0 to 1, of the palette's colours for every stored value."""
    if "SegmentedRedPaletteColorLookupTableData" in attributes:
        raise UnsupportedImageError("segmented palettes are not taken")
    luma = np.zeros_like(stored)
    for colour, weight in _LUMA.items():
        name = f"{colour}PaletteColorLookupTable"
        entries, bits = _entries(
            stored, attributes, f"{name}Descriptor", f"{name}Data", signed=bool(stored[0] < 0)
        )
        luma += weight * entries / ((1 << bits) - 1)
    return luma


def _luma_range(stored: Floats, image: ImagePixel) -> Floats:
    """Share of white for every luma value; YBR_PARTIAL keeps black at 16 and white at 235."""
    if image.photometric_interpretation.startswith("YBR_PARTIAL"):
        unit = (1 << image.bits_stored) / 256
        return (stored - 16 * unit) / (219 * unit)
    return stored / ((1 << image.bits_stored) - 1)


def _padding(stored: Floats, image: ImagePixel, attributes: Attributes) -> NDArray[np.bool_]:
    """True for the stored values that mark pixels outside of the picture."""
    value = attributes.words("PixelPaddingValue", signed=image.signed)
    if not value:
        return np.zeros(stored.shape, np.bool_)
    limit = attributes.words("PixelPaddingRangeLimit", signed=image.signed) or value
    low, high = sorted((value[0], limit[0]))
    return (stored >= low) & (stored <= high)


def _with_contrast(values: Floats, name: str) -> Floats:
    if math.isclose(values.min(), values.max(), rel_tol=1e-12):
        raise CorruptImageError(f"{name} leaves no contrast")
    return values


def _single(attributes: Attributes, keyword: str, default: float) -> float:
    values = attributes.decimals(keyword)
    return values[0] if values else default
