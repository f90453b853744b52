"""The beginning of a DICOM file, with or without its preamble."""

from dataclasses import dataclass
from typing import Literal

from pydicom.datadict import dictionary_has_tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from preprocess.types import Buffer

_PREAMBLE = 128
_PREFIX = b"DICM"
_VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
# The first element is a group length, a UID, a date or a name of a character set.
_LONGEST_FIRST_VALUE = 1 << 10
_ELEMENT_HEAD = 8  # tag, and VR or length
_FILE_META, _IDENTIFYING = 0x0002, 0x0008
_BIG_ENDIAN = (
    "the file has no preamble and begins in big endian, without a VR or in file meta information, "
    "which no transfer syntax allows"
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The place and the encoding of a DICOM file's first element.

    Attributes
    ----------
    offset : int
        Of the first element, in bytes.
    has_preamble : bool
    transfer_syntax_uid : UID or None
        Of a data set without file meta information, as its first element is encoded; None where
        file meta information is to name it.
    fault : str or None
        A clause that says why it cannot be read.
    """

    offset: int
    has_preamble: bool
    transfer_syntax_uid: UID | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Element:
    """The head of an element, read in one of the two byte orders."""

    group: int
    order: Literal["little", "big"]
    explicit: bool


def find_beginning(data: Buffer) -> Beginning | None:
    """Return how a DICOM file begins; None if the bytes are of another format.

    A file whose preamble was lost is known by its first element, of group 0002 or 0008.

    References
    ----------
    DICOM PS3.10, 7.1; PS3.5, 7.1 and A.4.
    """
    if bytes(data[_PREAMBLE : _PREAMBLE + 4]) == _PREFIX:
        return Beginning(_PREAMBLE + 4, has_preamble=True)
    offset = len(_PREFIX) if bytes(data[:4]) == _PREFIX else 0
    element = _first_element(bytes(data[offset : offset + _ELEMENT_HEAD]), len(data) - offset)
    if element is None:
        return None
    if element.order == "big" and (element.group == _FILE_META or not element.explicit):
        return Beginning(offset, has_preamble=False, fault=_BIG_ENDIAN)
    if element.group == _FILE_META:
        return Beginning(offset, has_preamble=False)
    return Beginning(offset, has_preamble=False, transfer_syntax_uid=_syntax(element))


def _syntax(element: _Element) -> UID:
    if element.order == "big":
        return ExplicitVRBigEndian
    return ExplicitVRLittleEndian if element.explicit else ImplicitVRLittleEndian


def _first_element(head: bytes, size: int) -> _Element | None:
    """Return the element that these bytes can begin, by its tag, and by its VR or its length."""
    if len(head) < _ELEMENT_HEAD:
        return None
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group, number = (int.from_bytes(head[at : at + 2], order) for at in (0, 2))
        tag = group << 16 | number
        if group not in (_FILE_META, _IDENTIFYING) or not (number == 0 or dictionary_has_tag(tag)):
            continue
        if head[4:6] in _VRS:
            return _Element(group, order, explicit=True)
        length = int.from_bytes(head[4:8], order)
        fits = length == 4 if number == 0 else length % 2 == 0  # the former is UL
        if fits and length <= min(_LONGEST_FIRST_VALUE, size - len(head)):
            return _Element(group, order, explicit=False)
    return None
