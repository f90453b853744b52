"""PNG files: their chunks, checked one by one, and their grey pixels.

libpng reads on where data are missing or damaged only as far as it must, and fills in the rest;
OpenCV prints its complaints. So everything that can be wrong is looked for before it is called.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from preprocess.depth import bits_in_use, extremes, histogram
from preprocess.errors import CorruptImageError, TruncatedImageError, UnsupportedImageError
from preprocess.exif import read_orientation
from preprocess.types import Buffer, Samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# First row and column, and step, of the seven Adam7 passes.
_ADAM7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
          (1, 2, 0, 1))  # fmt: skip
_MOST_CHUNKS = 100_000
_INFLATE_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class PngHeader:
    """The IHDR chunk of a PNG.

    Attributes
    ----------
    rows, columns : int
        Size as coded, before orientation.
    bit_depth : int
        Bits of a sample, or of a palette index: 1, 2, 4, 8 or 16.
    colour_type : int
        0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
    interlaced : bool
    """

    rows: int
    columns: int
    bit_depth: int
    colour_type: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Samples per pixel as stored."""
        return _CHANNELS[self.colour_type]


@dataclass(frozen=True, slots=True)
class PngChunks:
    """Content of the chunks after IHDR.

    Attributes
    ----------
    image_data : list of memoryview
        The bodies of the IDAT chunks, in order.
    orientation : int
        Exif Orientation, 1 to 8.
    significant_bits : int or None
        From the sBIT chunk, if it says the same of grey or of all colours.
    """

    image_data: list[memoryview]
    orientation: int
    significant_bits: int | None


def read_header(data: Buffer) -> PngHeader:
    """Return the header of a PNG.

    Raises
    ------
    CorruptImageError, TruncatedImageError

    References
    ----------
    PNG (Third Edition), 11.2.1 IHDR.
    """
    head = bytes(data[8:33])
    if len(head) < 25:
        raise TruncatedImageError
    if head[:8] != b"\0\0\0\x0dIHDR":
        raise CorruptImageError("the PNG does not begin with its header chunk")
    if zlib.crc32(head[4:21]) != int.from_bytes(head[21:]):
        raise CorruptImageError("a chunk of the PNG fails its check sum")
    columns, rows, depth, colour, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", head[8:21]
    )
    if rows == 0 or columns == 0:
        raise CorruptImageError("the PNG declares no rows or no columns")
    if depth not in _DEPTHS.get(colour, ()):
        raise CorruptImageError("the PNG declares a colour type and depth that do not go together")
    if compression or filtering or interlace > 1:
        raise CorruptImageError("the PNG declares an unknown coding")
    return PngHeader(rows, columns, depth, colour, interlaced=bool(interlace))


def read_chunks(data: Buffer) -> PngChunks:
    """Return the chunks up to IEND, each with its check sum tested.

    Raises
    ------
    CorruptImageError, TruncatedImageError, UnsupportedImageError
        The last for an animated PNG, which holds more than one picture.

    References
    ----------
    PNG (Third Edition), 5.3 to 5.6 and 11.3.
    """
    image_data: list[memoryview] = []
    orientation, significant_bits = 1, None
    for kind, body in _chunks(memoryview(data)):
        match kind:
            case b"IDAT":
                image_data.append(body)
            case b"eXIf":
                orientation = read_orientation(bytes(body))
            case b"sBIT":
                significant_bits = _significant_bits(bytes(body))
            case b"acTL":
                raise UnsupportedImageError("animated PNG is not taken")
    return PngChunks(image_data, orientation, significant_bits)


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield type and body of the chunks between IHDR and IEND, each with its check sum tested."""
    position = 33
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(view):
            raise TruncatedImageError
        kind = bytes(view[position + 4 : position + 8])
        end = position + 12 + int.from_bytes(view[position : position + 4])
        if end > len(view):
            raise TruncatedImageError
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise CorruptImageError("a chunk of the PNG fails its check sum")
        if kind == b"IEND":
            return
        yield kind, view[position + 8 : end - 4]
        position = end
    raise CorruptImageError("the PNG is made of too many chunks")


def _significant_bits(body: bytes) -> int | None:
    """Return the bits that sBIT gives to grey or to each of three colours, the alpha left out."""
    colours = set(body[:3] if len(body) >= 3 else body[:1])
    return colours.pop() if len(colours) == 1 else None


def check_image_data(header: PngHeader, image_data: list[memoryview]) -> None:
    """Refuse a PNG whose image data are not exactly as long as its header says.

    The data are inflated piece by piece and thrown away, so memory stays flat and no more is
    inflated than the header asks for.

    Raises
    ------
    TruncatedImageError
        Rows are missing.
    CorruptImageError
        There are more rows than declared, or the deflated data are damaged.
    """
    missing = _scanline_bytes(header)
    inflater = zlib.decompressobj()
    try:
        for piece in image_data:
            rest = bytes(piece)
            while rest and not inflater.eof:
                missing -= len(inflater.decompress(rest, _INFLATE_STEP))
                if missing < 0:
                    raise CorruptImageError("the PNG holds more pixels than it declares")
                rest = inflater.unconsumed_tail
        missing -= len(inflater.flush())
    except zlib.error as error:
        raise CorruptImageError("the PNG's compressed data are damaged") from error
    if missing > 0 or not inflater.eof:
        raise TruncatedImageError
    if missing < 0:
        raise CorruptImageError("the PNG holds more pixels than it declares")


def _scanline_bytes(header: PngHeader) -> int:
    """Return bytes of all scan lines, each with its filter type byte (PNG 7.2, 7.3)."""
    bits = header.bit_depth * header.channels
    passes = _ADAM7 if header.interlaced else ((0, 1, 0, 1),)
    total = 0
    for first_row, row_step, first_column, column_step in passes:
        rows = max(0, -(-(header.rows - first_row) // row_step))
        columns = max(0, -(-(header.columns - first_column) // column_step))
        if rows and columns:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def decode_grey(data: Buffer, header: PngHeader) -> Samples:
    """Return the PNG's grey samples, shape (rows, columns), as coded: orientation not applied.

    Parameters
    ----------
    data : bytes-like
        Checked by `read_chunks` and `check_image_data`.
    header : PngHeader

    Returns
    -------
    ndarray of uint8 or uint16
        `uint16` for a bit depth of 16. Grey of 1, 2 and 4 bits is spread over 8.

    Raises
    ------
    CorruptImageError

    Notes
    -----
    Colour and palette give ITU-R BT.601 luma. Alpha is ignored, as Pillow's `convert("L")` ignores
    it: what a sender painted transparent is still what the detector saw. Gamma, ICC and other
    colour chunks are ignored too: radiographs are coded in display values.
    """
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.shape[:2] != (header.rows, header.columns):
        raise CorruptImageError("the PNG's compressed data are damaged")
    if pixels.ndim == 3:
        to_grey = cv2.COLOR_BGRA2GRAY if pixels.shape[2] == 4 else cv2.COLOR_BGR2GRAY
        pixels = cv2.cvtColor(pixels, to_grey)
    return pixels.astype(np.uint16 if header.bit_depth == 16 else np.uint8, copy=False)


def bits_stored(samples: Samples, significant_bits: int | None) -> int:
    """Return the bits that the samples of a 16-bit PNG use.

    The PNG standard wants shallower samples scaled up to the depth of the file, with their true
    depth in sBIT (PNG 13.12), and many writers store 12-bit values as they are. So:

    - with sBIT of s bits: s if no sample needs more (stored as they are), else 16 (scaled up);
    - without: what `preprocess.depth.bits_in_use` gives, as in DICOM.

    Stray samples do not count (`preprocess.depth.extremes`).

    Parameters
    ----------
    samples : ndarray of uint16
        Not changed.
    significant_bits : int or None
        Of the sBIT chunk.
    """
    _, largest = extremes(histogram(samples))
    if significant_bits is not None and 8 <= significant_bits <= 16:
        return significant_bits if largest < 1 << significant_bits else 16
    return bits_in_use(largest)


def to_depth(samples: Samples, bits: int) -> Samples:
    """Return the samples with those beyond `bits` clipped, as `uint8` if `bits` is at most 8."""
    clipped = np.minimum(samples, np.uint16((1 << bits) - 1))
    return clipped.astype(np.uint8) if bits <= 8 else clipped
