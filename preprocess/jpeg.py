"""JPEG: what the markers of a file or frame say, and the grey pixels of 8-bit ones.

Decoding is libjpeg-turbo's, in its strict mode: it repairs a broken picture by filling in grey, and
says so only in a warning, so every warning refuses the picture here.

Its header as simplejpeg tells it has the size and the colours, not the process, the Adobe marker or
Exif.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from preprocess.colour import ColourModel
from preprocess.errors import (
    CorruptImageError,
    TooManyScansError,
    TruncatedImageError,
    UnsupportedImageError,
)
from preprocess.exif import read_orientation
from preprocess.types import Buffer

SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_RESTARTS = range(0xD0, 0xD8)
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCE))
_MOST_SEGMENTS = 10_000
_COEFFICIENTS = 64  # of a block
# Inside entropy-coded data FF is followed by a stuffed zero, a restart marker or a fill byte.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class JpegCoding(Enum):
    """Coding process of the samples."""

    DCT = auto()
    LOSSLESS = auto()
    ARITHMETIC = auto()
    JPEG_LS = auto()
    HIERARCHICAL = auto()


# Start of frame markers, T.81 table B.1 and T.87 C.2.2. C4, C8 and CC are other segments.
_FRAMES = {
    **dict.fromkeys((0xC0, 0xC1, 0xC2), JpegCoding.DCT),
    0xC3: JpegCoding.LOSSLESS,
    # Its encoders leave out zeros at the end, which decoders put there again: a picture that was
    # cut off goes on in one grey, and nothing tells it from a whole one (T.81, D.1.8).
    **dict.fromkeys((0xC9, 0xCA, 0xCB), JpegCoding.ARITHMETIC),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), JpegCoding.HIERARCHICAL),
    0xF7: JpegCoding.JPEG_LS,
}


@dataclass(slots=True)
class _Markers:
    """The markers that stand before the frame header."""

    jfif: bool = False
    adobe: bool = False
    adobe_transform: int | None = None
    exif: bytes | None = None

    @property
    def orientation(self) -> int:
        return 1 if self.exif is None else read_orientation(self.exif)

    def note(self, marker: int, segment: memoryview) -> None:
        if marker == _APP0 and bytes(segment[:5]) == b"JFIF\0":
            self.jfif = True
        elif marker == _APP1 and bytes(segment[:6]) == b"Exif\0\0":
            self.exif = self.exif or bytes(segment[6:])  # what follows continues the first one
        elif marker == _APP14 and bytes(segment[:5]) == b"Adobe":
            self.adobe = True
            # Decoders pass over one that is too short to name its transform.
            self.adobe_transform = segment[11] if len(segment) >= 12 else self.adobe_transform


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Frame header of a JPEG.

    Attributes
    ----------
    rows, columns : int
        Size as coded, before orientation.
    components : int
        1 grey, 3 colour, 4 CMYK or YCCK.
    precision : int
        Bits of a sample.
    kind : Kind
    adobe : bool
        An Adobe marker is there: CMYK samples are stored inverted.
    colour_models : frozenset of ColourModel
        Colour models by markers and components: none, one, or two that contradict.
    orientation : int
        Exif Orientation, 1 to 8.
    first_scan : int
        Offset of the first start-of-scan marker.
    component_ids : bytes
        An identifier of each component, by which scans name it.
    progressive : bool
        Scans hold parts of the coefficients.
    single_scan : bool
        One scan holds the whole picture: decoders refuse any that follow.
    near : int
        Of JPEG-LS, by how much a sample may be off; 0 is lossless.
    """

    rows: int
    columns: int
    components: int
    precision: int
    kind: JpegCoding
    adobe: bool
    colour_models: frozenset[ColourModel]
    orientation: int
    first_scan: int
    component_ids: bytes
    progressive: bool
    single_scan: bool
    near: int

    @property
    def lossy(self) -> bool:
        """True if samples may be other than the coded ones."""
        return self.kind is JpegCoding.DCT or self.near > 0


def read_header(data: Buffer) -> JpegHeader:
    """Return the header of a JPEG or JPEG-LS, read from its markers up to the first scan.

    Raises
    ------
    UnsupportedImageError
        The number of rows is given only after the first scan (DNL), or there are 2 components.
    CorruptImageError, TruncatedImageError
        The markers make no picture.

    References
    ----------
    ITU-T T.81, Annex B; T.87, Annex C.
    """
    view = memoryview(data)
    frame: tuple[int, memoryview] | None = None
    markers = _Markers()
    for marker, offset, segment in _segments(view):
        if marker == _SOS:
            if frame is None:
                raise CorruptImageError("the JPEG has a scan before its frame header")
            return _header(*frame, markers, offset, segment)
        if marker in _FRAMES:
            if frame is not None:
                raise CorruptImageError("the JPEG has more than one frame header")
            frame = (marker, segment)
        else:
            markers.note(marker, segment)
    raise TruncatedImageError


def _segments(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield marker, its offset and the segment's body, up to the end of the data."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if position + 4 > len(view):
            return
        if view[position] != 0xFF:
            raise CorruptImageError("the JPEG has bytes where a marker must stand")
        marker = view[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _RESTARTS or marker in (_SOI, _EOI, _TEM, 0x00):
            raise CorruptImageError("the JPEG has a marker where none may stand")
        length = int.from_bytes(view[position + 2 : position + 4])
        if length < 2:
            raise CorruptImageError("a segment of the JPEG has an impossible length")
        if position + 2 + length > len(view):
            raise TruncatedImageError
        yield marker, position, view[position + 4 : position + 2 + length]
        position += 2 + length
    raise CorruptImageError("the JPEG is made of too many segments")


def _header(
    marker: int, frame: memoryview, markers: _Markers, first_scan: int, scan: memoryview
) -> JpegHeader:
    if len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        raise CorruptImageError("the JPEG's frame header has the wrong length")
    precision, components = frame[0], frame[5]
    rows, columns = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if rows == 0 or columns == 0:
        raise UnsupportedImageError("the JPEG declares no rows or no columns")
    if components not in (1, 3, 4):
        raise UnsupportedImageError("the JPEG has neither 1, 3 nor 4 components")
    kind = _FRAMES[marker]
    in_scan = scan[0] if scan else 0
    near = scan[1 + 2 * in_scan : 2 + 2 * in_scan]
    return JpegHeader(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        kind=kind,
        adobe=markers.adobe,
        colour_models=_colour_models(kind, bytes(frame[6:]), markers),
        orientation=markers.orientation,
        first_scan=first_scan,
        component_ids=bytes(frame[6::3]),
        progressive=marker in _PROGRESSIVE,
        single_scan=marker not in _PROGRESSIVE and in_scan == components,
        near=near[0] if kind is JpegCoding.JPEG_LS and near else 0,
    )


def _colour_models(
    kind: JpegCoding, components: bytes, markers: _Markers
) -> frozenset[ColourModel]:
    """Return identifier, sampling and table of each of three components (T.81 B.2.2).

    JFIF means YCbCr (T.871), of DCT only; Adobe's marker names the transform (T.872, 6.5.3); the
    identifiers R, G and B speak for themselves; chroma alone is ever sampled less. Where none of
    these is there, an encoder that keeps a second quantization table keeps it for chroma.
    """
    if len(components) != 9:
        return frozenset()
    found = set()
    if markers.adobe_transform in (0, 1):
        found.add(ColourModel.YCBCR if markers.adobe_transform else ColourModel.RGB)
    if components[::3] == b"RGB":
        found.add(ColourModel.RGB)
    if kind is JpegCoding.DCT:
        sampling, tables = components[1::3], components[2::3]
        if markers.jfif or len(set(sampling)) > 1:
            found.add(ColourModel.YCBCR)
        if not found and len(set(tables)) > 1:
            found.add(ColourModel.YCBCR)
    return frozenset(found)


def check_file_kind(header: JpegHeader) -> None:
    """Refuse what no JPEG file outside of DICOM has reason to be.

    Raises
    ------
    UnsupportedImageError
        Lossless, hierarchical, arithmetic or JPEG-LS coding, or other than 8 bits a sample.
    """
    if header.kind is JpegCoding.ARITHMETIC:
        raise UnsupportedImageError("JPEG with arithmetic coding is not taken")
    if header.kind is not JpegCoding.DCT:
        raise UnsupportedImageError("lossless and hierarchical JPEG are taken in DICOM only")
    if header.precision != 8:
        raise UnsupportedImageError("JPEG with other than 8 bits is taken in DICOM only")


def check_scans(data: Buffer, header: JpegHeader, limit_scans: int) -> None:
    """Refuse a JPEG of more than `limit_scans` scans, and one that lacks some.

    Each scan is a pass over the whole picture. libjpeg makes a picture of those that are there: the
    first of a progressive one alone give blocks, and without the luma's all is one grey.

    Raises
    ------
    TooManyScansError, TruncatedImageError, CorruptImageError
        The latter if other segments are without number.

    References
    ----------
    ITU-T T.81, B.2.3 (scan header) and G.1.1.1 (bands, and bits by successive approximation).
    """
    if header.single_scan:
        return
    coefficients = range(_COEFFICIENTS if header.progressive else 1)
    missing = {component: set(coefficients) for component in header.component_ids}
    for number, scan in enumerate(_scans(data, header.first_scan), 1):
        if number > limit_scans:
            raise TooManyScansError(limit_scans)
        components = scan[1:-3:2]
        if len(scan) != 4 + 2 * scan[0] or not components:
            raise CorruptImageError("a scan of the JPEG has a header of the wrong length")
        first, last, bits_left = scan[-3], scan[-2], scan[-1] & 0xF
        band = range(first, last + 1) if header.progressive else coefficients
        if not (header.progressive and bits_left):
            for component in components:
                missing.get(component, set()).difference_update(band)
    if any(missing.values()):
        raise TruncatedImageError


def _scans(data: Buffer, position: int) -> Iterator[bytes]:
    """Yield the bodies of the scans' headers, up to the end of the picture."""
    for _ in range(_MOST_SEGMENTS):
        match = _NEXT_MARKER.search(data, position)
        if match is None:
            return
        marker = data[match.start() + 1]
        position = match.end()
        if marker == _EOI:
            return
        length = int.from_bytes(data[position : position + 2])
        if marker == _SOS:
            yield bytes(data[position + 2 : position + length]) or b"\0"
        # Skip the segment's body, which may hold any bytes.
        position += max(2, length)
    raise CorruptImageError("the JPEG is made of too many segments")


def decode_grey(data: Buffer, header: JpegHeader, reduction: int = 1) -> NDArray[np.uint8]:
    """Return the JPEG's luma, shape (rows, columns), as coded: the orientation is not applied.

    Parameters
    ----------
    data : bytes-like
    header : JpegHeader
        As `read_header` gives it for the same data.
    reduction : {1, 2, 4, 8}
        The picture is reduced by this factor in the DCT domain; sizes are rounded up.

    Raises
    ------
    CorruptImageError, TruncatedImageError
        libjpeg-turbo had any complaint, or its pixels are not those of the header.

    Notes
    -----
    Colour gives the Y of its YCbCr coding (ITU-R BT.601 luma, T.871); CMYK is taken to RGB first,
    without its profile. ICC profiles are ignored: radiographs are coded in display values.
    """
    rows, columns = -(-header.rows // reduction), -(-header.columns // reduction)
    try:
        coded_rows, coded_columns, _, _ = simplejpeg.decode_jpeg_header(data)
        # libjpeg reads the header for itself: agree on the size before it allocates.
        if (coded_rows, coded_columns) != (header.rows, header.columns):
            raise CorruptImageError("the JPEG declares two sizes")
        pixels = simplejpeg.decode_jpeg(
            data,
            "CMYK" if header.components == 4 else "GRAY",
            min_height=rows if reduction > 1 else 0,
            min_width=columns if reduction > 1 else 0,
            min_factor=reduction,
        )
    except (ValueError, RuntimeError) as error:
        if "remature end of JPEG file" in str(error):
            raise TruncatedImageError from error
        raise CorruptImageError("the JPEG's compressed data are damaged") from error
    if pixels.shape[:2] != (rows, columns):
        raise CorruptImageError("the JPEG declares two sizes")
    return (
        _cmyk_to_grey(pixels, inverted=header.adobe) if header.components == 4 else pixels[..., 0]
    )


def _cmyk_to_grey(cmyk: NDArray[np.uint8], *, inverted: bool) -> NDArray[np.uint8]:
    """Return BT.601 luma of CMYK samples, (rows, columns, 4); RGB is ink x black, as light."""
    light = cmyk if inverted else cv2.bitwise_not(cmyk)
    cyan, magenta, yellow, black = cv2.split(light)
    rgb = [cv2.multiply(ink, black, scale=1 / 255) for ink in (cyan, magenta, yellow)]
    return np.asarray(cv2.cvtColor(cv2.merge(rgb), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
