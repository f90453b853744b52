"""Modality and VOI transformations of a DICOM frame, from the attributes that are usable.

A viewer passes over a window that is no number and still shows the picture, and so does this
package: what is not usable counts as absent, and a warning says so.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from preprocess.attributes import Attributes
from preprocess.errors import CorruptImageError
from preprocess.lut import WINDOW_FUNCTIONS, Floats, LookupTable, read_table, window

KEYWORDS = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

_NAMES = {
    "ModalityLUTSequence": "Modality LUT Sequence (0028,3000)",
    "RescaleIntercept": "Rescale Intercept (0028,1052)",
    "RescaleSlope": "Rescale Slope (0028,1053)",
    "VOILUTFunction": "VOI LUT Function (0028,1056)",
    "VOILUTSequence": "VOI LUT Sequence (0028,3010)",
    "WindowCenter": "Window Center (0028,1050)",
    "WindowWidth": "Window Width (0028,1051)",
}
_ABSENT = "is not usable and was taken as absent"

# PS3.5 6.2, VR DS. Python's own float takes more: underscores, "nan", digits of other scripts.
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([Ee][+-]?\d+)?", re.ASCII)
# A comma may stand before decimals or thousands, and which of the two is not to be known: "1,024".
# These are 1 and 0 either way.
_ONE = re.compile(r"\+?1,(0{1,2}|0{4,})", re.ASCII)
_ZERO = re.compile(r"[+-]?0,0+", re.ASCII)
_NO_UNITS = "is in units of a rescale that is not usable, and was left out"


@dataclass(slots=True)
class DisplayAttributes:
    """The attributes that transform a frame, from the most specific group to the data set.

    Attributes
    ----------
    modality, voi : tuple of Attributes
        Groups that may hold a modality or a VOI transformation; the first usable one counts, as a
        whole: a frame's own window comes before a VOI LUT of the data set.
    warnings : list of str
        Sentences about what was not usable; grows while transformations are read.
    units_known : bool
        True if the output of the modality transformation is in the units that a VOI
        transformation is for; told once the former is read.
    """

    modality: tuple[Attributes, ...]
    voi: tuple[Attributes, ...]
    warnings: list[str] = field(default_factory=list)
    units_known: bool = True

    def warn(self, keyword: str, fault: str = _ABSENT) -> None:
        """Note once what is wrong with an attribute."""
        sentence = f"{_NAMES[keyword]} {fault}"
        if sentence not in self.warnings:
            self.warnings.append(sentence)


def frame_attributes(attributes: Attributes, frame: int) -> DisplayAttributes:
    """Return the attributes that hold for one frame of a possibly enhanced multi-frame object.

    Those of its own functional groups come before the shared ones, and those before the data set's.

    References
    ----------
    DICOM PS3.3 C.7.6.16 (Multi-frame Functional Groups), C.7.6.16.2.9 (Pixel Value Transformation),
    C.7.6.16.2.10 (Frame VOI LUT).
    """
    groups = attributes.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    groups += attributes.items("SharedFunctionalGroupsSequence")[:1]

    def levels(macro: str) -> tuple[Attributes, ...]:
        return (*(item for group in groups for item in group.items(macro)[:1]), attributes)

    return DisplayAttributes(
        levels("PixelValueTransformationSequence"), levels("FrameVOILUTSequence")
    )


def modality(stored: Floats, display: DisplayAttributes, *, signed: bool) -> tuple[Floats, bool]:
    """Return the output of the modality LUT, or of rescale, for stored values (PS3.3 C.11.1).

    The second value is True where it is linear, so that it needs no more bits than the stored ones.

    Parameters
    ----------
    stored : ndarray of float64
        Not changed.
    display : DisplayAttributes
        Told of what is not usable.
    signed : bool
        Stored values are two's complement.
    """
    for group in display.modality:
        for table in _tables(group, "ModalityLUTSequence", display, signed=signed):
            return table.look_up(stored), False
        rescaled = _rescaled(stored, group, display)
        if rescaled is not None:
            return rescaled, True
    return stored, True


def _rescaled(stored: Floats, group: Attributes, display: DisplayAttributes) -> Floats | None:
    """Return None where neither is usable, or they leave nothing of the picture."""
    slope, intercept = (
        next((_rescale(text, keyword, display) for text in _texts(group, keyword)), None)
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if slope == 0:
        display.warn("RescaleSlope")
        slope = None
    if slope is None and intercept is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = stored * (1.0 if slope is None else slope) + (intercept or 0.0)
    if np.isfinite(rescaled).all() and not math.isclose(
        rescaled.min(), rescaled.max(), rel_tol=1e-12
    ):
        return rescaled
    display.warn("RescaleSlope")
    display.warn("RescaleIntercept")
    return None


def _rescale(text: str, keyword: str, display: DisplayAttributes) -> float | None:
    """Return the number; of one with a comma no more than what it says however it is read."""
    if "," not in text:
        return _number(text, keyword, display)
    display.warn(keyword)
    is_slope = keyword == "RescaleSlope"
    if (_ONE if is_slope else _ZERO).fullmatch(text):
        return 1.0 if is_slope else 0.0
    display.units_known = False
    # Black and white are the other way round however large it is.
    return -1.0 if is_slope and text.startswith("-") else None


def voi(values: Floats, display: DisplayAttributes) -> Floats | None:
    """Return the share of white, 0 to 1, of each value; None without VOI transformation.

    Where both a VOI LUT and a window are in one group, either may be used (C.11.2.1): the LUT is
    taken, being the more specific; of several of a kind the first that is usable. None is where
    the units that it is for are not known: "0,5" is no slope, and a window for what it would give
    shows another picture of what was stored.

    Parameters
    ----------
    values : ndarray of float64
        Output of the modality transformation; not changed.
    display : DisplayAttributes
        Told of what is not usable.
    """
    if not display.units_known:
        for keyword in ("VOILUTSequence", "WindowCenter", "WindowWidth"):
            if any(keyword in group for group in display.voi):
                display.warn(keyword, _NO_UNITS)
        return None
    signed = bool(values.min() < 0)
    for group in display.voi:
        for table in _tables(group, "VOILUTSequence", display, signed=signed):
            bits = table.bits_in_use
            if bits != table.bits:
                display.warn(
                    "VOILUTSequence",
                    f"declares {table.bits} bits for entries of {bits} and was scaled by these",
                )
            return table.look_up(values) / ((1 << bits) - 1)
        shown = _windowed(values, group, display)
        if shown is not None:
            return shown
    return None


def _windowed(values: Floats, group: Attributes, display: DisplayAttributes) -> Floats | None:
    centers = _texts(group, "WindowCenter")
    widths = _texts(group, "WindowWidth")
    function = _function(group, display) if centers or widths else "LINEAR"
    if len(centers) != len(widths):
        display.warn(
            "WindowCenter", f"has another number of values than Window Width: it {_ABSENT}"
        )
        return None
    for texts in zip(centers, widths, strict=True):
        center = _number(texts[0], "WindowCenter", display)
        width = _number(texts[1], "WindowWidth", display)
        if center is None or width is None:
            continue
        try:
            return window(values, center, width, function)
        except CorruptImageError:
            display.warn("WindowWidth")
    return None


def _function(group: Attributes, display: DisplayAttributes) -> str:
    try:
        function = (group.text("VOILUTFunction") or "LINEAR").upper()
    except CorruptImageError:
        function = ""
    if function in WINDOW_FUNCTIONS:
        return function
    display.warn("VOILUTFunction")
    return "LINEAR"


def _tables(
    group: Attributes, keyword: str, display: DisplayAttributes, *, signed: bool
) -> Iterator[LookupTable]:
    """Yield the usable lookup tables of a sequence."""
    for item in group.items(keyword):
        try:
            yield read_table(item, "LUTDescriptor", "LUTData", signed=signed)
        except CorruptImageError:
            display.warn(keyword)


def _texts(group: Attributes, keyword: str) -> tuple[str, ...]:
    """Return the values of a DS element; one that is no number where it is beyond all bounds."""
    try:
        return group.decimal_strings(keyword)
    except CorruptImageError:
        return ("",)


def _number(text: str, keyword: str, display: DisplayAttributes) -> float | None:
    number = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if math.isfinite(number):
        return number
    display.warn(keyword)
    return None
