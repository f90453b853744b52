"""A DICOM file up to its pixels, read from hostile bytes at a bounded cost.

pydicom's `dcmread` inflates a deflated data set whole, whatever it comes to, and reads elements
without end: only its `read_dataset` is used, over a stream that is metered.
"""

import io
import zlib
from dataclasses import dataclass
from typing import Literal

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from preprocess.attributes import Attributes, tag_of, translate_parse_errors
from preprocess.beginning import Beginning, find_beginning
from preprocess.errors import (
    CorruptImageError,
    UnrecognisedImageError,
    UnsupportedImageError,
)
from preprocess.transfer_syntaxes import check_taken
from preprocess.types import Buffer, Limits

_FIRST_PIXEL_ELEMENT = 0x7FE00008  # Float Pixel Data; then Double Float, then Pixel Data itself
# Elements, and items of sequences, cost a few reads each. Enhanced multi-frame objects have
# thousands of them; a file of 64 MiB could hold eight million, a minute's work.
_MOST_READS = 200_000
_INFLATE_STEP = 1 << 20
_TAG_AND_VR = 6  # bytes, which pydicom reads once before all others
_UNDEFINED_LENGTH = 0xFFFFFFFF
_UNNAMED_SYNTAX = (
    "the file has no file meta information, which would name the transfer syntax of its compressed "
    "Pixel Data"
)


class MeteredStream(io.BytesIO):
    """Bytes that can be read only so many times, so that parsing ends.

    Raises
    ------
    CorruptImageError
        By `read`, after some hundred thousand calls.
    """

    reads_left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, as of any stream."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise CorruptImageError("the DICOM data set has too many elements")
        return super().read(size)


class _Elements:
    """Elements of a data set as pydicom comes to them, of which it would keep the last of a tag.

    Parameters
    ----------
    stream : MeteredStream
        At the first element.
    wanted : dict
        Keywords of the tags that matter.
    """

    def __init__(self, stream: MeteredStream, wanted: dict[BaseTag, str]) -> None:
        self._stream = stream
        self._wanted = wanted
        self._looked_ahead = stream.tell() + _TAG_AND_VR
        self._values: dict[BaseTag, slice] = {}

    def end(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        """Return True at the pixels; the stream stands at the element's value.

        Raises
        ------
        CorruptImageError
            Two elements of one tag have two values (PS3.5, 7.1): either may be the patient's.
        """
        at = self._stream.tell()
        if tag in self._wanted and at != self._looked_ahead:
            value = slice(at, at + length)
            first = self._values.setdefault(tag, value)
            if first is not value and self._bytes(first) != self._bytes(value):
                raise CorruptImageError(f"the data set has two values of {self._wanted[tag]}")
        return bool(tag >= _FIRST_PIXEL_ELEMENT)

    def _bytes(self, value: slice) -> memoryview:
        return self._stream.getbuffer()[value]


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM file up to its pixels.

    Attributes
    ----------
    transfer_syntax_uid : UID
    has_preamble : bool
        False where the file begins with its first element.
    attributes : Attributes
        Only those that were asked for.
    has_pixel_data : bool
        False if the data set ends, or has other pixel elements, before (7FE0,0010) Pixel Data.
    pixel_data : memoryview
        Bytes after the header of Pixel Data: native samples, or items of encapsulated frames.
    pixel_bytes : int or None
        Length of Pixel Data as its element declares it; None if that is undefined. `pixel_data`
        is shorter where the file ends before.
    pixel_vr : str
        OB or OW.
    little_endian : bool
    """

    transfer_syntax_uid: UID
    has_preamble: bool
    attributes: Attributes
    has_pixel_data: bool
    pixel_data: memoryview
    pixel_bytes: int | None
    pixel_vr: str
    little_endian: bool


def read_file(data: Buffer, keywords: tuple[str, ...], limits: Limits) -> DicomFile:
    """Return the named attributes of a DICOM file, and where its pixels are.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    keywords : tuple of str
        Those to keep; every other value is passed over unread.
    limits : Limits
        `inflated_bytes` bounds what a deflated data set may grow to.

    Raises
    ------
    CorruptImageError, UnsupportedImageError

    References
    ----------
    DICOM PS3.10, 7.1 (file meta information); PS3.5, 7 and A.5 (deflated).
    """
    source = memoryview(data)
    beginning = _beginning(source)
    stream = MeteredStream(data)
    stream.seek(beginning.offset)
    with translate_parse_errors():
        syntax = beginning.transfer_syntax_uid or _named_syntax(stream)
        check_taken(syntax)
        if syntax == DeflatedExplicitVRLittleEndian:
            inflated = _inflate(source[stream.tell() :], limits)
            source, stream = memoryview(inflated), MeteredStream(inflated)
        wanted = {tag_of(keyword): keyword for keyword in keywords}
        implicit = syntax == ImplicitVRLittleEndian
        little_endian = syntax != ExplicitVRBigEndian
        dataset = read_dataset(
            stream,
            implicit,
            little_endian,
            stop_when=_Elements(stream, wanted).end,
            specific_tags=list(wanted),
        )
    rest = source[stream.tell() :].toreadonly()
    has_pixel_data = bytes(rest[:4]) == (b"\xe0\x7f\x10\0" if little_endian else b"\x7f\xe0\0\x10")
    pixel_data, pixel_bytes, pixel_vr = _pixel_element(rest, little_endian=little_endian)
    if has_pixel_data and pixel_bytes is None and beginning.transfer_syntax_uid is not None:
        raise UnsupportedImageError(_UNNAMED_SYNTAX)
    return DicomFile(
        syntax,
        beginning.has_preamble,
        Attributes(dataset, little_endian=little_endian),
        has_pixel_data,
        pixel_data,
        pixel_bytes,
        pixel_vr,
        little_endian,
    )


def _beginning(source: memoryview) -> Beginning:
    beginning = find_beginning(source)
    if beginning is None:
        raise UnrecognisedImageError
    if beginning.fault is not None:
        raise UnsupportedImageError(beginning.fault)
    return beginning


def _named_syntax(stream: MeteredStream) -> UID:
    """Return the Transfer Syntax UID of the file meta information; the stream stands after it."""
    meta = read_dataset(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag >> 16 > 2,
    )
    syntax = Attributes(meta, little_endian=True).uid("TransferSyntaxUID")
    if syntax is None:
        raise CorruptImageError("the DICOM file does not name its Transfer Syntax UID")
    return syntax


def _inflate(deflated: memoryview, limits: Limits) -> bytes:
    """Return the deflated part of a data set, no longer than the limit."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    length, rest = 0, bytes(deflated)
    while rest and not inflater.eof:
        piece = inflater.decompress(rest, _INFLATE_STEP)
        rest = inflater.unconsumed_tail
        length += len(piece)
        if length > limits.inflated_bytes:
            raise UnsupportedImageError(
                f"the deflated data set grows beyond {limits.inflated_bytes} bytes"
            )
        pieces.append(piece)
    return b"".join(pieces)


def _pixel_element(view: memoryview, *, little_endian: bool) -> tuple[memoryview, int | None, str]:
    """Return value, declared length and VR of the element at the beginning of the view."""
    order: Literal["little", "big"] = "little" if little_endian else "big"
    vr = bytes(view[4:6])
    if vr in (b"OB", b"OW", b"UN"):
        length, start = int.from_bytes(view[8:12], order), 12
    else:  # implicit VR: four bytes of length follow the tag
        vr, length, start = b"OW", int.from_bytes(view[4:8], order), 8
    if length == _UNDEFINED_LENGTH:
        return view[start:], None, vr.decode()
    return view[start : start + length], length, vr.decode()
