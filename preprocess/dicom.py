"""DICOM files: their frames as a viewer would show them, in grey."""

from collections.abc import Iterator
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import generate_fragments, generate_frames

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
from preprocess.sample_format import read_whole_cells
from preprocess.stored import StoredFrame, read_values
from preprocess.transfer_syntaxes import UNCOMPRESSED
from preprocess.types import Buffer, Frame, Header, Limits, MediaType, Samples, StoredSamples

_KEYWORDS = (*image_module.KEYWORDS, *presentation_module.KEYWORDS)
_NOT_SUBSAMPLED = (
    "Photometric Interpretation (0028,0004) says that chroma is subsampled, and Pixel Data "
    "(7FE0,0010) is as long as with all of it: it was read as that"
)
_TOO_LONG = (
    "Pixel Data (7FE0,0010) is longer than its frames: the bytes that follow them were left out"
)
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")


def measure(data: Buffer, limits: Limits) -> Header:
    """Return size and depth of a DICOM file's frames as its attributes declare them.

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
    """Return the frames of a DICOM file, each windowed as the file says and white at the largest.

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
    stored = [read_values(frame, image) for frame in decoded_frames(file, image, limits)]
    counts = cache(partial(_count, stored, image))
    shown = [
        presentation(image, file.attributes, frame_attributes(file.attributes, index), counts)
        for index in range(len(stored))
    ]
    sentences = (sentence for each in shown for sentence in each.warnings)
    warnings = tuple(dict.fromkeys((*image.warnings, *_oddities(file, image), *sentences)))
    # Each stored frame is let go as soon as it is shown, so that memory holds not all of both.
    return tuple(_present(*stored.pop(0), each, image, warnings) for each in shown)


def _count(stored: list[tuple[Samples, NDArray[np.int64]]], image: ImagePixel) -> NDArray[np.int64]:
    """Return pixels of each stored value in all frames, the least value first."""
    counts = np.zeros(1 << image.bits_stored, np.int64)
    for grey, values in stored:
        counts += np.bincount(values, histogram(grey), len(counts)).astype(np.int64)
    return counts


def _present(
    grey: Samples,
    values: NDArray[np.int64],
    shown: Presentation,
    image: ImagePixel,
    warnings: tuple[str, ...],
) -> Frame:
    levels = cv2.LUT(grey, shown.levels[values])
    return Frame(
        levels.astype(shown.levels.dtype, copy=False),
        shown.bits,
        rows=image.rows,
        columns=image.columns,
        warnings=warnings,
    )


def decoded_frames(file: DicomFile, image: ImagePixel, limits: Limits) -> Iterator[StoredFrame]:
    """Return the frames one by one, each decoded and not read yet."""
    uid = file.transfer_syntax_uid
    if uid in UNCOMPRESSED:
        return (read_whole_cells(samples, image) for samples in _native_frames(file, image))
    return (decode_frame(stream, uid, image, limits) for stream in codestreams(file, image))


def codestreams(file: DicomFile, image: ImagePixel) -> Iterator[bytes]:
    """Yield the compressed frames, one by one (PS3.5 A.4)."""
    items = MeteredStream(file.pixel_data)
    with translate_parse_errors():
        if image.frames == 1:  # all fragments are its, whatever the offset table says
            frames: Iterator[bytes] = iter((_only_frame(items),))
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


def _only_frame(items: MeteredStream) -> bytes:
    """Return all fragments as one codestream.

    Raises
    ------
    CorruptImageError
        Another codestream begins in one of them.
    """
    fragments = generate_fragments(items)
    next(fragments)  # the Basic Offset Table
    first = next(fragments, b"")
    others = list(fragments)
    if any(fragment.startswith(_CODESTREAM_STARTS) for fragment in others):
        raise CorruptImageError("there are more frames than Number of Frames says")
    return b"".join((first, *others))


def _native_frames(file: DicomFile, image: ImagePixel) -> Iterator[StoredSamples]:
    """Yield the uncompressed frames (PS3.5 8.1, PS3.3 C.7.6.3.1.3)."""
    is_422 = _is_subsampled(file, image)
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


def _is_subsampled(file: DicomFile, image: ImagePixel) -> bool:
    """Return True for uncompressed YBR 4:2:2; many writers say so and leave the chroma whole."""
    whole = image.rows * image.columns * 3 * image.bits_allocated // 8 * image.frames
    labelled = image.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")
    return labelled and file.pixel_bytes not in (whole, whole + 1)


def _oddities(file: DicomFile, image: ImagePixel) -> Iterator[str]:
    """Yield sentences about uncompressed Pixel Data that are not as long as they should be."""
    if file.transfer_syntax_uid not in UNCOMPRESSED or file.pixel_bytes is None:
        return
    is_422 = _is_subsampled(file, image)
    if image.photometric_interpretation.endswith("_422") and not is_422:
        yield _NOT_SUBSAMPLED
    samples = image.rows * image.columns * (2 if is_422 else image.samples_per_pixel)
    expected = samples * image.bits_allocated // 8 * image.frames
    if file.pixel_bytes > expected + expected % 2:
        yield _TOO_LONG


def _shaped(frame: StoredSamples, image: ImagePixel, *, is_422: bool) -> StoredSamples:
    rows, columns = image.rows, image.columns
    if is_422:  # Y Y Cb Cr for each two pixels
        return frame.reshape(rows, columns // 2, 4)[..., :2].reshape(rows, columns)
    if not image.colour:
        return frame.reshape(rows, columns)
    by_plane = frame.reshape(3, rows, columns).transpose(1, 2, 0)
    by_pixel = frame.reshape(rows, columns, 3)
    samples, other = (by_plane, by_pixel) if image.planar else (by_pixel, by_plane)
    if _is_grey(other) and not _is_grey(samples):
        raise CorruptImageError(
            "colours are grey in the other Planar Configuration (0028,0006) than the one declared"
        )
    return samples


def _is_grey(colours: StoredSamples) -> bool:
    """Return True if the three samples of each pixel are the same, which never comes by chance."""
    first, second, third = (colours[..., plane] for plane in range(3))
    return np.array_equal(first, second) and np.array_equal(first, third)
