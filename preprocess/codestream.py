"""Compressed frames of DICOM objects: what their own headers say, and their samples.

A codestream's header is compared with the data set before anything is allocated, and every codec
is held to what it declares: the more lenient ones fill what is missing in silence.
"""

import itertools
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import HTJ2KLossless, HTJ2KLosslessRPCL, RLELossless

from preprocess import jp2, jpeg, jpeg2000
from preprocess.colour import ColourModel, labelled
from preprocess.errors import (
    CorruptImageError,
    TruncatedImageError,
    UnsupportedImageError,
)
from preprocess.image import ImagePixel
from preprocess.sample_format import SampleFormat, check, read_as, read_cells, read_whole_cells
from preprocess.stored import StoredFrame
from preprocess.transfer_syntaxes import JPEG_2000, JPEG_2000_LOSSLESS_ONLY, JPEG_LS
from preprocess.types import Limits, StoredSamples

_HTJ2K_LOSSLESS_ONLY = frozenset((HTJ2KLossless, HTJ2KLosslessRPCL))
_EOI = b"\xff\xd9"
# Entropy-coded bytes that a decoder in need of more would turn into pixels.
_PROBE = bytes(range(0x11, 0x91, 2)) * 2
_TAIL = 16
# Number of segments, and 15 offsets from the beginning of the frame.
_RLE_HEADER = struct.Struct("<16I")
_TAKEN_JPEG = frozenset((jpeg.JpegCoding.DCT, jpeg.JpegCoding.LOSSLESS, jpeg.JpegCoding.JPEG_LS))


def decode_frame(
    codestream: bytes, transfer_syntax_uid: str, image: ImagePixel, limits: Limits
) -> StoredFrame:
    """Return one compressed frame, decoded.

    Parameters
    ----------
    codestream : bytes
    transfer_syntax_uid : str
        One of the compressed ones. JPEG processes and JPEG-LS are told apart by their markers.
    image : ImagePixel
        The frame as the data set declares it.
    limits : Limits

    Raises
    ------
    CorruptImageError, TruncatedImageError, UnsupportedImageError
    """
    if transfer_syntax_uid == RLELossless:
        return read_whole_cells(_decode_rle(codestream, image), image)
    if codestream.startswith(jpeg.SIGNATURE[:2]):
        return _decode_jpeg(codestream, transfer_syntax_uid, image, limits)
    if transfer_syntax_uid in JPEG_2000:
        return _decode_jpeg_2000(codestream, transfer_syntax_uid, image)
    raise CorruptImageError("a compressed frame is not coded as Transfer Syntax UID says")


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


def _decode_jpeg_2000(
    codestream: bytes, transfer_syntax_uid: str, image: ImagePixel
) -> StoredFrame:
    header = jpeg2000.read_header(codestream)
    jp2.check_boxes(codestream[: header.start])
    coded = SampleFormat(
        header.rows,
        header.columns,
        header.components,
        header.precision,
        lossy=not header.reversible,
        signed=header.signed,
    )
    check(coded, image)
    # OpenJPH is twice as fast, and lets what a lossy coding adds beyond the range wrap to its other
    # end; OpenJPEG clips it.
    wraps = not header.reversible or transfer_syntax_uid not in _HTJ2K_LOSSLESS_ONLY
    decoder = (
        imagecodecs.htj2k_decode
        if header.high_throughput and not wraps
        else imagecodecs.jpeg2k_decode
    )
    samples = _decoded(decoder, codestream[header.start :], image)
    marked = frozenset((ColourModel.RGB,) if header.colour_transform else ())
    # The integer wavelet loses something too where its last layers were cut off, which only the
    # syntaxes that are not lossless by name allow.
    if coded.lossy or (
        transfer_syntax_uid not in JPEG_2000_LOSSLESS_ONLY and header.signed == image.signed
    ):
        return read_as(samples, coded, image, marked)
    return read_cells(samples, coded, image, marked)


def _decode_jpeg(
    codestream: bytes, transfer_syntax_uid: str, image: ImagePixel, limits: Limits
) -> StoredFrame:
    header = jpeg.read_header(codestream)
    if header.kind not in _TAKEN_JPEG:
        raise UnsupportedImageError("hierarchical and arithmetic JPEG are not taken")
    if header.kind is jpeg.JpegCoding.JPEG_LS and transfer_syntax_uid not in JPEG_LS:
        raise CorruptImageError("a compressed frame is not coded as Transfer Syntax UID says")
    coded = SampleFormat(
        header.rows,
        header.columns,
        header.components,
        header.precision,
        lossy=header.lossy,
        fixed_precision=header.kind is jpeg.JpegCoding.DCT,
    )
    check(coded, image)
    jpeg.check_scans(codestream, header, limits.jpeg_scans)
    if codestream.rstrip(b"\0\xff")[-2:] != _EOI:  # a frame is padded to an even length
        raise TruncatedImageError
    samples = _jpeg_samples(codestream, header, image)
    if header.lossy:
        return read_as(samples, coded, image, header.colour_models)
    return read_cells(samples, coded, image, header.colour_models)


def _jpeg_samples(codestream: bytes, header: jpeg.JpegHeader, image: ImagePixel) -> StoredSamples:
    """Return samples of a JPEG or JPEG-LS; the luma of 8-bit colour if all agree on what it is."""
    if header.kind is jpeg.JpegCoding.JPEG_LS:
        return _decoded(imagecodecs.jpegls_decode, codestream, image)
    if header.precision == 8 and (header.kind is jpeg.JpegCoding.DCT or header.components == 1):
        grey = jpeg.decode_grey(codestream, header)
        models = header.colour_models | {labelled(image.photometric_interpretation)}
        if header.components == 1 or (header.colour_models and models == {ColourModel.YCBCR}):
            return grey
        # The components themselves have to tell; that they are whole has been seen just now.
        return _decoded(_jpeg_components, codestream, image)
    return _decode_deep_jpeg(codestream, image)


def _decode_deep_jpeg(codestream: bytes, image: ImagePixel) -> StoredSamples:
    """Return samples of a JPEG of 2 to 16 bits, DCT or lossless, whose data are complete.

    The decoder gives no sign when it runs out of data, or has some left. So it is asked again, once
    with more data and once with another end: a whole picture does not change with the first, and
    must change with the second.
    """
    end = codestream.rfind(_EOI)
    before, rest = codestream[:end].rstrip(b"\xff"), codestream[end:]  # less the fill bytes
    longer = _check_sum(before + _PROBE + rest, image)
    start = _tail_start(before)
    tail = bytes(byte ^ 0x55 for byte in before[start:]).replace(b"\xff", b"\xfe")
    other = _check_sum(before[:start] + tail + rest, image)
    samples = _decoded(_jpeg_decoder(image), codestream, image)
    whole = zlib.crc32(samples.data)
    if whole != longer:
        raise TruncatedImageError
    # The codes of a picture of one grey level may say the same whatever their bits are.
    if whole == other and samples.min() != samples.max():
        raise CorruptImageError("a compressed frame holds more data than its size accounts for")
    return samples


def _jpeg_decoder(image: ImagePixel) -> Callable[[bytes], object]:
    return _jpeg_components if image.colour else imagecodecs.jpeg8_decode


def _jpeg_components(codestream: bytes) -> object:
    """Return the three components as coded: between equal models nothing is transformed."""
    return imagecodecs.jpeg8_decode(codestream, colorspace="RGB", outcolorspace="RGB")


def _tail_start(before: bytes) -> int:
    """Return the start of the last scan's last bytes, at no zero that is stuffed behind an FF."""
    scan = before.rfind(b"\xff\xda") + 2
    scan += int.from_bytes(before[scan : scan + 2])
    start = max(scan, len(before) - _TAIL)
    return start - 1 if start > scan and before[start - 1] == 0xFF else start


def _check_sum(codestream: bytes, image: ImagePixel) -> int:
    """Check sum of the decoded samples, which are not kept: two pictures may be too large."""
    return zlib.crc32(_decoded(_jpeg_decoder(image), codestream, image).data)


def _decode_rle(codestream: bytes, image: ImagePixel) -> StoredSamples:
    """Return samples of an RLE frame (PS3.5, Annex G): planes of bytes, the high ones first.

    Not imagecodecs' dicomrle_decode: it reads where the header's offsets point, beyond the frame,
    too, and takes segments of wrong lengths whose sum is right.
    """
    item_bytes, pixels = image.bits_allocated // 8, image.rows * image.columns
    samples = np.empty((image.samples_per_pixel, pixels, item_bytes), np.uint8)
    segments = _rle_segments(codestream, image.samples_per_pixel * item_bytes)
    for index, segment in enumerate(segments):
        plane, byte = divmod(index, item_bytes)
        samples[plane, :, item_bytes - 1 - byte] = _unpacked(segment, pixels)
    planes = samples.view(f"<u{item_bytes}").reshape(-1, image.rows, image.columns)
    return planes[0] if not image.colour else np.ascontiguousarray(planes.transpose(1, 2, 0))


def _rle_segments(codestream: bytes, count: int) -> list[bytes]:
    """Return the segments that the header of an RLE frame tells of (PS3.5, G.5)."""
    if len(codestream) < _RLE_HEADER.size:
        raise TruncatedImageError
    found, *offsets = _RLE_HEADER.unpack_from(codestream)
    bounds = [*offsets[:count], len(codestream)]
    if found != count or bounds[0] != _RLE_HEADER.size:
        raise CorruptImageError("an RLE frame has other segments than its data set declares")
    if any(start >= end for start, end in itertools.pairwise(bounds)):
        raise CorruptImageError("an RLE frame is cut off, or its segments lie beyond it")
    return [codestream[start:end] for start, end in itertools.pairwise(bounds)]


def _unpacked(segment: bytes, size: int) -> NDArray[np.uint8]:
    """Return the bytes of an RLE segment, which are to be so many (PS3.5, G.3)."""
    out = bytearray(size)
    try:
        decoded = imagecodecs.packbits_decode(segment, out=out)
    except Exception as error:  # see _decoded
        raise CorruptImageError("a compressed frame is damaged or incomplete") from error
    if len(decoded) != size:
        raise TruncatedImageError
    return np.frombuffer(out, np.uint8)
