"""Values of DICOM attributes, converted from the raw bytes that pydicom finds.

pydicom's own conversion warns with the value it dislikes, and that value may name a patient.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from preprocess.character_sets import decode_text
from preprocess.errors import CorruptImageError, PreprocessError

_LONGEST_SEQUENCE_BYTES = 1 << 20
_LONGEST_TEXT_BYTES = 4096  # of the kinds read here: UI, CS, LO, SH, DA, TM, DS, IS
_PADDING = " \0\t\r\n"


@contextmanager
def translate_parse_errors() -> Iterator[None]:
    """Turn whatever pydicom raises on malformed bytes into a CorruptImageError."""
    try:
        yield
    except PreprocessError:
        raise
    # pydicom raises RecursionError, TypeError, struct.error, NotImplementedError and more.
    except Exception as error:
        raise CorruptImageError("the DICOM data set cannot be parsed") from error


class Attributes:
    """Typed, bounded access to a data set by keyword (PS3.6).

    Every method gives None (or nothing) for an element that is absent, empty or not of the kind
    asked for.

    Parameters
    ----------
    dataset : pydicom.Dataset
        As pydicom reads it, its elements not converted.
    little_endian : bool
        Byte order of its values.
    """

    def __init__(self, dataset: Dataset, *, little_endian: bool) -> None:
        self.dataset = dataset
        self._little_endian = little_endian

    def __contains__(self, keyword: str) -> bool:
        return tag_of(keyword) in self.dataset

    def raw(self, keyword: str) -> bytes | None:
        """Return bytes of the value as they stand in the file."""
        element = self._element(keyword)
        value = element.value if isinstance(element, RawDataElement) else None
        return value or None

    def vr(self, keyword: str) -> str | None:
        """Return the VR that the file names; None where it leaves that to the reader."""
        element = self._element(keyword)
        return element.VR if isinstance(element, RawDataElement) else None

    def text(self, keyword: str) -> str | None:
        """Return the first value of an element whose text is ASCII by its VR, without padding.

        Raises
        ------
        CorruptImageError
            It is far longer than its kind may be.
        """
        return next(iter(self.texts(keyword)), None) or None

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an element whose text is ASCII by its VR (CS, DA, TM, UI).

        Bytes beyond ASCII stay apart, as the characters of Latin-1.

        Raises
        ------
        CorruptImageError
            It is far longer than its kind may be.
        """
        raw = self._short(keyword)
        if raw is None:
            return ()
        values = tuple(value.strip(_PADDING) for value in raw.decode("latin-1").split("\\"))
        return values if any(values) else ()

    def identifier(self, keyword: str) -> str | None:
        """Return the whole text of an LO or SH element, decoded by Specific Character Set.

        What is meant to have one value is not divided at a backslash, which may be half a
        character, and whose loss would make two identifiers one.

        Raises
        ------
        UndecodableTextError
            The character set has no such characters.
        CorruptImageError
            It is far longer than its kind may be.
        """
        raw = self._short(keyword)
        if raw is None:
            return None
        text = decode_text(raw, self._short("SpecificCharacterSet") or b"")
        return text.strip(_PADDING) or None

    def _short(self, keyword: str) -> bytes | None:
        raw = self.raw(keyword)
        if raw is not None and len(raw) > _LONGEST_TEXT_BYTES:
            raise CorruptImageError(f"{keyword} is too long")
        return raw

    def uid(self, keyword: str) -> UID | None:
        """Return the UID of a UI element, whether well formed or not."""
        text = self.text(keyword)
        return None if text is None else UID(text, config.IGNORE)

    def decimal_strings(self, keyword: str) -> tuple[str, ...]:
        """Return the values of a DS or IS element as they are written, without padding.

        Raises
        ------
        CorruptImageError
            The element is far longer than its kind may be.
        """
        raw = self._short(keyword)
        if raw is None:
            return ()
        text = raw.decode("ascii", "replace").rstrip(" \0")
        return tuple(part.strip(" ") for part in text.split("\\")) if text else ()

    def words(self, keyword: str, *, signed: bool = False) -> tuple[int, ...]:
        """Return the 16-bit integers of a US or SS element."""
        raw = self.raw(keyword)
        if raw is None or len(raw) % 2:
            return ()
        return tuple(int(word) for word in self.as_words(raw, signed=signed))

    def as_words(self, raw: bytes, *, signed: bool = False) -> NDArray[np.int16 | np.uint16]:
        """Return the bytes read as 16-bit integers in the data set's byte order."""
        order = "<" if self._little_endian else ">"
        return np.frombuffer(raw, np.dtype(f"{order}{'i' if signed else 'u'}2"))

    def octets(self, keyword: str) -> NDArray[np.uint8]:
        """Return the bytes of an element of bytes or words, the first one first.

        Those of words (OW, US) come in swapped pairs where the byte order is big endian.

        References
        ----------
        DICOM PS3.5, 7.3.
        """
        raw = self.raw(keyword) or b""
        if self._little_endian or self.vr(keyword) in ("OB", "UN"):
            return np.frombuffer(raw, np.uint8)
        return np.frombuffer(raw[: len(raw) & ~1], np.uint16).byteswap().view(np.uint8)

    def items(self, keyword: str) -> "list[Attributes]":
        """Return the items of a sequence.

        Raises
        ------
        CorruptImageError
            The sequence is too long or cannot be parsed.
        """
        if keyword not in self:
            return []
        element = self._element(keyword)
        if isinstance(element, RawDataElement) and element.VR not in (None, "SQ", "UN"):
            return []
        if len(self.raw(keyword) or b"") > _LONGEST_SEQUENCE_BYTES:
            raise CorruptImageError(f"{keyword} is too long")
        with translate_parse_errors():
            sequence = self.dataset[keyword].value
            if not isinstance(sequence, Sequence):
                return []
            return [Attributes(item, little_endian=self._little_endian) for item in sequence]

    def overlaid(self, others: "list[Attributes]") -> "Attributes":
        """Return these attributes with those of `others` put over them, the last on top."""
        merged = Dataset()
        for dataset in (self.dataset, *(other.dataset for other in others)):
            for tag in dataset.keys():  # noqa: SIM118  # iterating a Dataset converts its values
                merged[tag] = dataset.get_item(tag)
        return Attributes(merged, little_endian=self._little_endian)

    def _element(self, keyword: str) -> object:
        tag = tag_of(keyword)
        with translate_parse_errors():  # an empty element of an unknown VR is converted at once
            return self.dataset.get_item(tag) if tag in self.dataset else None


def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword of the standard."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return BaseTag(tag)
