"""Values of any attributes of a DICOM file that are text or 16-bit numbers, as text."""

from collections.abc import Iterable

from pydicom.datadict import dictionary_VR

from preprocess.attributes import Attributes
from preprocess.character_sets import UndecodableTextError
from preprocess.dataset import read_file
from preprocess.errors import CorruptImageError
from preprocess.types import Buffer, Limits

# PS3.5, 6.1.2.2: VRs whose text Specific Character Set (0008,0005) does not touch.
_ASCII = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"))
_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))


def read_values(
    data: Buffer, keywords: Iterable[str], limits: Limits | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the values of attributes of a DICOM file, by keyword.

    Attributes that are absent or empty are left out, and so are those that cannot be read: text
    that its character set does not know, or that is far too long, and other kinds than text and
    16-bit integers.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
        The data set cannot be parsed within its bounds.
    """
    wanted = tuple(keywords)
    attributes = read_file(data, (*wanted, "SpecificCharacterSet"), limits or Limits()).attributes
    found = {keyword: _values(attributes, keyword) for keyword in wanted}
    return {keyword: values for keyword, values in found.items() if values}


def _values(attributes: Attributes, keyword: str) -> tuple[str, ...]:
    vr = dictionary_VR(keyword)
    try:
        if vr in _ASCII:
            return attributes.texts(keyword)
        if vr in _TEXT:
            text = attributes.identifier(keyword)
            return () if text is None else tuple(part.strip() for part in text.split("\\"))
    except (CorruptImageError, UndecodableTextError):
        return ()
    return tuple(map(str, attributes.words(keyword, signed=vr == "SS")))
