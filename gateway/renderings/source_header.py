"""The header of an original as its renderings take it over: patient, study, series and image.

Headers of real modalities lack attributes, and have dates and words that no standard knows. What is
unusable is left out or empty, as the standard allows; nothing is made up.

References
----------
DICOM PS3.3, C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.3.1 (General Series).
"""

from __future__ import annotations

import datetime as dt
import re
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import UID

from preprocess.character_sets import has_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable

_DATE = re.compile(r"[12][0-9]{7}")
# A leap second, which the standard allows, is refused by validators.
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?")
_DIRECTION = re.compile(r"[APRLHF]{1,3}")
_SEXES = {"M", "F", "O"}
# Words in the names of the storage classes whose images have several frames.
_MULTI_FRAME = (
    "Multi-frame",
    "Enhanced",
    "X-Ray Angiographic",
    "Radiofluoroscopic",
    "Tomosynthesis",
)

# What pydicom raises on malformed bytes, when it parses them or when a value is asked for.
_MALFORMED = (
    *(AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(BytesLengthException, InvalidDicomError, struct.error, zlib.error),
)

UNICODE = "ISO_IR 192"
"""Specific Character Set (0008,0005) of all renderings: any patient's name fits in it."""


def header_of(data: bytes) -> Dataset | None:
    """Return the attributes that renderings of an image take over, in Unicode.

    None is returned where they cannot be read; see `source_header`.

    Parameters
    ----------
    data
        The image's file, or so much of its beginning as has them.
    """
    try:
        return source_header(dcmread(BytesIO(data), stop_before_pixels=True, force=True))
    except _MALFORMED:
        return None


def source_header(original: Dataset) -> Dataset | None:
    """Return the attributes that renderings of an image take over, in Unicode.

    None is returned of an image without Study, Series or SOP Instance UID or SOP class: it is in no
    patient's study.

    Parameters
    ----------
    original
        The data set of the image; not changed.
    """
    header = Dataset()
    header.SpecificCharacterSet = UNICODE
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        value = _text(original, keyword)
        if not UID(value).is_valid:
            return None
        setattr(header, keyword, value)
    for keyword, usable in _TAKEN_OVER.items():
        value = _text(original, keyword)
        setattr(header, keyword, value if usable(value) else "")
    for keyword, usable in _WHERE_USABLE.items():
        value = _text(original, keyword)
        if usable(value):
            setattr(header, keyword, value)
    orientation = _orientation(original)
    if orientation is not None:
        header.PatientOrientation = orientation
    for keyword in ("Rows", "Columns"):
        setattr(header, keyword, int(original[keyword].value))
    return header


def is_usable(keyword: str, value: str) -> bool:
    """Return True of a value that renderings may have of an attribute which they take over."""
    return _TAKEN_OVER[keyword](value)


def frame_numbers(header: Dataset, index: int) -> list[int] | None:
    """Return the number of a frame, as references to it say; None for a class of single frames.

    Parameters
    ----------
    index
        Of the frame, counted from 0.
    """
    name = UID(header.SOPClassUID).name
    return [index + 1] if any(word in name for word in _MULTI_FRAME) else None


def _orientation(original: Dataset) -> list[str] | None:
    """Return the directions of rows and columns, Patient Orientation (0020,0020)."""
    try:
        value = original.get("PatientOrientation")
    except _MALFORMED:
        return None
    if not isinstance(value, MultiValue):
        return None
    directions = [str(item).strip() for item in value]
    usable = all(_DIRECTION.fullmatch(item) for item in directions)
    return directions if len(directions) == 2 and usable else None  # noqa: PLR2004 - row, column


def _text(original: Dataset, keyword: str) -> str:
    """Return a value as text; the first one of several, and nothing for one that is unreadable."""
    try:
        value = original.get(keyword)
    except _MALFORMED:
        return ""
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return "" if value is None else str(value).strip()


def _short(length: int) -> Callable[[str], bool]:
    return lambda value: (
        len(value) <= length and "\\" not in value and not has_control_characters(value)
    )


def _is_name(value: str) -> bool:
    are_short = all(len(group) <= 64 for group in value.split("="))  # noqa: PLR2004 - PS3.5, 6.2
    return are_short and not has_control_characters(value)


def _is_date(value: str) -> bool:
    """Return True of a date that the calendar has."""
    if not _DATE.fullmatch(value):
        return False
    try:
        dt.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _matching(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: pattern.fullmatch(value) is not None


_TAKEN_OVER: dict[str, Callable[[str], bool]] = {
    "PatientID": _short(64),
    "PatientName": _is_name,
    "PatientBirthDate": _is_date,
    "PatientSex": _SEXES.__contains__,
    "StudyID": _short(16),
    "StudyDate": _is_date,
    "StudyTime": _matching(_TIME),
    "AccessionNumber": _short(16),
    "ReferringPhysicianName": _short(64),
    "Modality": _short(16),
}
"""Attributes that are of type 2 at most, with the rule by which a value is usable."""

_WHERE_USABLE: dict[str, Callable[[str], bool]] = {
    "Laterality": {"L", "R"}.__contains__,
    "ImageLaterality": {"L", "R", "U", "B"}.__contains__,
    "LossyImageCompression": "01".__eq__,  # once lossy, always lossy (PS3.3, C.7.6.1.1.5)
}
"""Attributes that are left out where they have no usable value."""
