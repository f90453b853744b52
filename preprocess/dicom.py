"""DICOM files: their frames as a viewer would show them, in grey."""

from collections.abc import Iterator
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.uid import RLELossless

from preprocess import image as image_module
from preprocess import presentation as presentation_module
from preprocess.attributes import translate_parse_errors
from preprocess.codestream import decode_frame
from preprocess.dataset import DicomFile, MeteredStream, read_file
from preprocess.depth import histogram
from preprocess.display import frame_attributes
from preprocess.errors import CorruptImageError, TruncatedImageError, UnsupportedImageError
from preprocess.image import ImagePixel, check_size, read_image_pixel
from preprocess.presentation import Presentation, presentation
from preprocess.types import Buffer, Frame, Header, Limits, MediaType, StoredSamples

_KEYWORDS = (*image_module.KEYWORDS, *presentation_module.KEYWORDS)


def measure(data: Buffer, limits: Limits) -> Header:
    """Size and depth of a DICOM file's frames as its attributes declare them.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
    """
    image = read_image_pixel(read_file(data, image_module.KEYWORDS, limits))
    return Header(
        MediaType.DICOM,
        image.rows,
        image.columns,
        image.bits_stored,
        frames=image.frames,
        samples_per_pixel=image.samples_per_pixel,
    )


def decode(data: Buffer, limits: Limits) -> tuple[Frame, ...]:
    """The frames of a DICOM file, each windowed as the file says and with white as the largest.

    Parameters
    ----------
    data : bytes-like
    limits : Limits

    Raises
    ------
    PreprocessError
        One of its kinds.

    Notes
    -----
    `Frame.bits_stored` are the bits that the file's values use where they are shown over their
    whole range, and 16 where a window or lookup table has spread them.
    """
    file = read_file(data, _KEYWORDS, limits)
    image = read_image_pixel(file)
    check_size(image, limits)
    greys = [_to_grey(samples, image) for samples in _stored_frames(file, image, limits)]
    stored = _stored_indices(greys[0].dtype, image, cells=_has_cells(file))
    counts = cache(partial(_count, greys, stored, image))
    shown = [
        presentation(image, file.attributes, frame_attributes(file.attributes, index), counts)
        for index in range(len(greys))
    ]
    sentences = (sentence for each in shown for sentence in each.warnings)
    warnings = tuple(dict.fromkeys((*image.warnings, *sentences)))
    # Each stored frame is let go as soon as it is shown, so that memory holds not all of both.
    return tuple(_present(greys.pop(0), stored, each, image, warnings) for each in shown)


def _count(
    greys: list[StoredSamples], stored: NDArray[np.int64], image: ImagePixel
) -> NDArray[np.int64]:
    """Pixels of each stored value in all frames, the least value first."""
    patterns = sum(histogram(grey) for grey in greys)
    return np.bincount(stored, patterns, 1 << image.bits_stored).astype(np.int64)


def _present(
    grey: StoredSamples,
    stored: NDArray[np.int64],
    shown: Presentation,
    image: ImagePixel,
    warnings: tuple[str, ...],
) -> Frame:
    levels = cv2.LUT(grey, shown.levels[stored])
    return Frame(
        levels.astype(shown.levels.dtype, copy=False),
        shown.bits,
        rows=image.rows,
        columns=image.columns,
        warnings=warnings,
    )


def _stored_indices(
    dtype: np.dtype[np.generic], image: ImagePixel, *, cells: bool
) -> NDArray[np.int64]:
    """The stored value, counted from the least, of every bit pattern a sample can have in memory.

    Samples in cells, uncompressed or RLE, may carry overlays in the bits that are not stored, which
    are masked out. A codec has no such bits; what it gives beyond the stored range is the overshoot
    of a lossy coding and is clipped.
    """
    bits = image.bits_stored
    patterns = np.arange(1 << (8 * dtype.itemsize), dtype=np.int64)
    if cells or (image.signed and dtype.kind == "u"):
        shift = image.high_bit + 1 - bits if cells and image.bits_allocated <= 16 else 0
        stored = (patterns >> shift) & ((1 << bits) - 1)
        if image.signed:  # the sign bit turns two's complement into an offset from the least
            stored ^= 1 << (bits - 1)
    else:
        if dtype.kind == "i":
            patterns = patterns.astype(f"i{dtype.itemsize}").astype(np.int64)
        least = -(1 << (bits - 1)) if image.signed else 0
        stored = np.clip(patterns - least, 0, (1 << bits) - 1)
    return stored


def _to_grey(samples: StoredSamples, image: ImagePixel) -> StoredSamples:
    """The samples' bit patterns, or the luma of their colours; shape (rows, columns)."""
    unsigned = samples.view(f"u{samples.itemsize}")
    if samples.ndim == 2:
        return np.ascontiguousarray(unsigned)
    # Decoders of JPEG 2000 undo its own colour transforms (PS3.5 8.2.4), hence RCT and ICT.
    if image.photometric_interpretation in ("RGB", "YBR_RCT", "YBR_ICT"):
        luma = cv2.cvtColor(np.ascontiguousarray(unsigned), cv2.COLOR_RGB2GRAY)
        return luma.astype(unsigned.dtype, copy=False)
    return np.ascontiguousarray(unsigned[..., 0])


def _has_cells(file: DicomFile) -> bool:
    """True if samples are stored in cells of Bits Allocated bits (PS3.5 8.1.1)."""
    uid = file.transfer_syntax_uid
    return uid == RLELossless or not uid.is_compressed


def _stored_frames(file: DicomFile, image: ImagePixel, limits: Limits) -> Iterator[StoredSamples]:
    uid = file.transfer_syntax_uid
    frames = (
        (decode_frame(stream, uid, image, limits) for stream in _codestreams(file, image))
        if uid.is_compressed
        else _native_frames(file, image)
    )
    for samples in frames:
        # At most 16 bits are stored, so the rest of a 32-bit cell can go.
        shift = image.high_bit + 1 - image.bits_stored
        yield (samples >> shift).astype(np.uint16) if samples.itemsize == 4 else samples


def _codestreams(file: DicomFile, image: ImagePixel) -> Iterator[bytes]:
    """The compressed frames, one by one (PS3.5 A.4)."""
    items = MeteredStream(file.pixel_data)
    with translate_parse_errors():
        if image.frames == 1:  # all fragments are its, whatever the offset table says
            fragments = generate_fragments(items)
            next(fragments)  # the Basic Offset Table
            frames: Iterator[bytes] = iter((b"".join(fragments),))
        else:
            frames = generate_frames(items, number_of_frames=image.frames)
        found = 0
        for codestream in frames:
            found += 1
            if found > image.frames:
                raise CorruptImageError("there are more frames than Number of Frames says")
            yield codestream
    if found < image.frames:
        raise TruncatedImageError


def _native_frames(file: DicomFile, image: ImagePixel) -> Iterator[StoredSamples]:
    """The uncompressed frames (PS3.5 8.1, PS3.3 C.7.6.3.1.3)."""
    is_422 = image.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")
    samples_per_pixel = 2 if is_422 else image.samples_per_pixel
    size = image.rows * image.columns * samples_per_pixel
    frame_bytes = size * image.bits_allocated // 8
    data = file.pixel_data
    if not file.little_endian and image.bits_allocated == 8 and file.pixel_vr == "OW":
        # Bytes in words of the other byte order come in swapped pairs.
        data = memoryview(np.frombuffer(data[: len(data) & ~1], "u2").byteswap().tobytes())
    if file.pixel_bytes is None:
        raise CorruptImageError(
            "uncompressed Pixel Data has an undefined length, which only compressed frames may have"
        )
    expected = frame_bytes * image.frames
    even = expected + expected % 2  # what it is padded to (PS3.5 7.1)
    if file.pixel_bytes > even and file.pixel_bytes >= expected + frame_bytes:
        raise CorruptImageError("there are more pixels than Rows, Columns and Frames account for")
    if len(data) < max(expected, file.pixel_bytes):
        raise TruncatedImageError
    if is_422 and image.columns % 2:
        raise CorruptImageError("YBR 4:2:2 has an odd number of columns")
    if image.photometric_interpretation == "YBR_PARTIAL_420":
        raise UnsupportedImageError("uncompressed YBR_PARTIAL_420 is not taken")
    order = "<" if file.little_endian else ">"
    dtype = np.dtype(f"{order}u{image.bits_allocated // 8}")
    for index in range(image.frames):
        frame = np.frombuffer(data[index * frame_bytes : (index + 1) * frame_bytes], dtype)
        yield _shaped(frame.astype(dtype.newbyteorder("="), copy=False), image, is_422=is_422)


def _shaped(frame: StoredSamples, image: ImagePixel, *, is_422: bool) -> StoredSamples:
    rows, columns = image.rows, image.columns
    if is_422:  # Y Y Cb Cr for each two pixels
        return frame.reshape(rows, columns // 2, 4)[..., :2].reshape(rows, columns)
    if not image.colour:
        return frame.reshape(rows, columns)
    if image.planar:
        return frame.reshape(3, rows, columns).transpose(1, 2, 0)
    return frame.reshape(rows, columns, 3)
