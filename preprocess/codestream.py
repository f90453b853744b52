"""Compressed frames of DICOM objects: what their own headers say, and their samples.

A codestream's header is compared with the data set before anything is allocated, and every codec
is held to what it declares: the more lenient ones fill what is missing in silence.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from preprocess import jpeg
from preprocess.errors import (
    CorruptImageError,
    PreprocessError,
    TruncatedImageError,
    UnsupportedImageError,
)
from preprocess.image import ImagePixel
from preprocess.types import Limits, StoredSamples

_HTJ2K = frozenset((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL))
_JPEG_2000 = _HTJ2K.union(JPEG2000TransferSyntaxes)
RISKY_TRANSFER_SYNTAXES = _JPEG_2000.union(JPEGLSTransferSyntaxes)
"""Those whose decoders can take long, or much memory, over a small file."""

_J2K_START = b"\xff\x4f\xff\x51"
_SOT, _EOC = b"\xff\x90", b"\xff\xd9"  # end of codestream, and of image in JPEG
_SHORTEST_TILE_PART = 14
# Entropy-coded bytes that a decoder in need of more would turn into pixels.
_PROBE = bytes(range(0x11, 0x91, 2)) * 2
_TAIL = 16


@dataclass(frozen=True, slots=True)
class _Declared:
    rows: int
    columns: int
    components: int
    bits: int


def decode_frame(
    codestream: bytes, transfer_syntax_uid: str, image: ImagePixel, limits: Limits
) -> StoredSamples:
    """Samples of one compressed frame, shape (rows, columns) or (rows, columns, 3).

    Parameters
    ----------
    codestream : bytes
    transfer_syntax_uid : str
        One of the compressed ones. JPEG processes and JPEG-LS are told apart by their markers.
    image : ImagePixel
        What the data set declares of the frame.
    limits : Limits

    Returns
    -------
    ndarray of uint8, int8, uint16 or int16
        Two-dimensional too for colour that the codec gives as luma (8-bit JPEG).

    Raises
    ------
    CorruptImageError, TruncatedImageError, UnsupportedImageError
    """
    if transfer_syntax_uid == RLELossless:
        return _decode_rle(codestream, image)
    if codestream.startswith(jpeg.SIGNATURE[:2]):
        return _decode_jpeg(codestream, transfer_syntax_uid, image, limits)
    if transfer_syntax_uid in _JPEG_2000:
        _check(_read_j2k(codestream), image)
        _check_tile_parts(codestream)
        decoder = (
            imagecodecs.htj2k_decode if transfer_syntax_uid in _HTJ2K else imagecodecs.jpeg2k_decode
        )
        return _decoded(decoder, codestream, image)
    raise UnsupportedImageError("the Transfer Syntax is none of those taken")


def _check(declared: _Declared, image: ImagePixel) -> None:
    if (declared.rows, declared.columns, declared.components) != (
        image.rows,
        image.columns,
        image.samples_per_pixel,
    ):
        raise CorruptImageError("a compressed frame has another size than the data set declares")
    if not 1 <= declared.bits <= image.bits_allocated:
        raise CorruptImageError("a compressed frame has more bits than the data set declares")


def _decoded(
    decoder: Callable[[bytes], object], codestream: bytes, image: ImagePixel
) -> StoredSamples:
    try:
        samples = np.asarray(decoder(codestream))
    except MemoryError:
        raise
    # Each codec of imagecodecs has its own error, all of them RuntimeErrors, and wrappers add more.
    except Exception as error:
        raise CorruptImageError("a compressed frame is damaged or incomplete") from error
    shape = (image.rows, image.columns, 3) if image.colour else (image.rows, image.columns)
    if samples.shape != shape or samples.dtype.kind not in "ui" or samples.itemsize > 2:
        raise CorruptImageError("a compressed frame has another size than the data set declares")
    return samples


def _read_j2k(codestream: bytes) -> _Declared:
    """Size and depth of a JPEG 2000 codestream, from its SIZ marker (ITU-T T.800, A.5.1)."""
    # Some writers leave the JP2 boxes around the codestream, which PS3.5 A.4.4 forbids.
    start = codestream.find(_J2K_START, 0, 4096)
    size = codestream[start + 8 : start + 42]
    if start < 0 or len(size) < 34:
        raise CorruptImageError("a compressed frame is no JPEG 2000 codestream")
    right, bottom, left, top = (int.from_bytes(size[at : at + 4]) for at in range(0, 16, 4))
    components, depth = int.from_bytes(size[32:34]), codestream[start + 42 : start + 43]
    if not depth:
        raise TruncatedImageError
    return _Declared(bottom - top, right - left, components, (depth[0] & 0x7F) + 1)


def _check_tile_parts(codestream: bytes) -> None:
    """Refuse a JPEG 2000 codestream whose tile-parts end behind its own end (T.800, A.4.2).

    OpenJPH decodes what there is.
    """
    position = codestream.find(_SOT)
    while codestream[position : position + 2] == _SOT:
        length = int.from_bytes(codestream[position + 6 : position + 10])
        if length == 0:  # the last one, up to the end marker
            position = max(codestream.rfind(_EOC), 0)
        elif length < _SHORTEST_TILE_PART:
            raise CorruptImageError("a compressed frame has an impossible length")
        else:
            position += length
    if codestream[position : position + 2] != _EOC:
        raise TruncatedImageError


def _decode_jpeg(
    codestream: bytes, transfer_syntax_uid: str, image: ImagePixel, limits: Limits
) -> StoredSamples:
    header = jpeg.read_header(codestream)
    _check(_Declared(header.rows, header.columns, header.components, header.precision), image)
    jpeg.check_scans(codestream, header, limits.jpeg_scans)
    if codestream.rstrip(b"\0\xff")[-2:] != _EOC:  # a frame is padded to an even length
        raise TruncatedImageError
    if header.kind is jpeg.Kind.JPEG_LS:
        if transfer_syntax_uid not in JPEGLSTransferSyntaxes:
            raise CorruptImageError("a compressed frame is not coded as Transfer Syntax UID says")
        return _decoded(imagecodecs.jpegls_decode, codestream, image)
    if header.precision == 8 and header.kind is jpeg.Kind.DCT:
        if image.photometric_interpretation == "RGB":
            codestream = jpeg.declare_rgb(codestream)
        return jpeg.decode_grey(codestream, header)
    if header.precision == 8 and header.components == 1:
        return jpeg.decode_grey(codestream, header)
    return _decode_deep_jpeg(codestream, image)


def _decode_deep_jpeg(codestream: bytes, image: ImagePixel) -> StoredSamples:
    """Samples of a JPEG of 2 to 16 bits, DCT or lossless, whose data are complete.

    The decoder gives no sign when it runs out of data, or has some left. So it is asked again, once
    with more data and once with another end: a whole picture does not change with the first, and
    must change with the second.
    """
    end = codestream.rfind(_EOC)
    before, rest = codestream[:end].rstrip(b"\xff"), codestream[end:]  # less the fill bytes
    longer = _check_sum(before + _PROBE + rest, image)
    start = _tail_start(before)
    tail = bytes(byte ^ 0x55 for byte in before[start:]).replace(b"\xff", b"\xfe")
    other = _check_sum(before[:start] + tail + rest, image)
    samples = _decoded(imagecodecs.jpeg8_decode, codestream, image)
    whole = zlib.crc32(samples.data)
    if whole != longer:
        raise TruncatedImageError
    # The codes of a picture of one grey level may say the same whatever their bits are.
    if whole == other and samples.min() != samples.max():
        raise CorruptImageError("a compressed frame holds more data than its size accounts for")
    return samples


def _tail_start(before: bytes) -> int:
    """Where the last bytes of the last scan begin, at no zero that is stuffed behind an FF."""
    scan = before.rfind(b"\xff\xda") + 2
    scan += int.from_bytes(before[scan : scan + 2])
    start = max(scan, len(before) - _TAIL)
    return start - 1 if start > scan and before[start - 1] == 0xFF else start


def _check_sum(codestream: bytes, image: ImagePixel) -> int:
    """Check sum of the decoded samples, which are not kept: two pictures may be too large."""
    return zlib.crc32(_decoded(imagecodecs.jpeg8_decode, codestream, image).data)


def _decode_rle(codestream: bytes, image: ImagePixel) -> StoredSamples:
    """Samples of an RLE frame (PS3.5, Annex G); colour comes plane by plane."""
    dtype = np.dtype(f"u{image.bits_allocated // 8}")
    planes = (image.samples_per_pixel, image.rows, image.columns)
    out = bytearray(int(np.prod(planes)) * dtype.itemsize)
    try:
        decoded = imagecodecs.dicomrle_decode(codestream, dtype, out=out)
    except PreprocessError:
        raise
    except Exception as error:  # see _decoded
        raise CorruptImageError("a compressed frame is damaged or incomplete") from error
    if len(decoded) != len(out):
        raise TruncatedImageError
    samples = np.frombuffer(out, dtype).reshape(planes)
    return samples[0] if not image.colour else np.ascontiguousarray(samples.transpose(1, 2, 0))
