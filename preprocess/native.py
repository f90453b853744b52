"""Frames of a DICOM file as an archive gives them away: as stored, or uncompressed."""

from dataclasses import dataclass

import numpy as np

from preprocess import image as image_module
from preprocess.dataset import DicomFile, read_file
from preprocess.dicom import codestreams, decoded_frames
from preprocess.errors import TruncatedImageError, UnsupportedImageError
from preprocess.image import ImagePixel, check_size, read_image_pixel
from preprocess.stored import StoredFrame
from preprocess.transfer_syntaxes import UNCOMPRESSED
from preprocess.types import Buffer, Limits, StoredSamples

_LONGEST_CELL = 4  # bytes; samples of codestreams have two at most


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Uncompressed frames.

    Attributes
    ----------
    frames : tuple of bytes
        Cells of Bits Allocated bits, little endian, row by row; not padded.
    bits_allocated : int
    """

    frames: tuple[bytes, ...]
    bits_allocated: int


def stored_frames(data: Buffer, limits: Limits) -> tuple[bytes, ...]:
    """Return the codestreams of a file; of an uncompressed one the frames in little endian.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
    """
    file, image = _read(data, limits)
    if file.transfer_syntax_uid in UNCOMPRESSED:
        return _native(file, image)
    return tuple(codestreams(file, image))


def native_frames(data: Buffer, limits: Limits) -> NativeFrames:
    """Return the frames of a file uncompressed, with the stored values that it has.

    Values of a lossy codestream that overshoot Bits Stored are clipped.

    Raises
    ------
    CorruptImageError
    UnsupportedImageError
        They are in colour and compressed: their data set would have to say another Photometric
        Interpretation.

    References
    ----------
    DICOM PS3.5, 8.1.1 (cells) and A.2 (Explicit VR Little Endian).
    """
    file, image = _read(data, limits)
    if file.transfer_syntax_uid in UNCOMPRESSED:
        return NativeFrames(_native(file, image), image.bits_allocated)
    if image.colour:
        raise UnsupportedImageError("compressed colour is not given away uncompressed")
    check_size(image, limits)
    frames = tuple(_cells(frame, image) for frame in decoded_frames(file, image, limits))
    return NativeFrames(frames, image.bits_allocated)


def _read(data: Buffer, limits: Limits) -> tuple[DicomFile, ImagePixel]:
    file = read_file(data, image_module.KEYWORDS, limits)
    return file, read_image_pixel(file)


def _native(file: DicomFile, image: ImagePixel) -> tuple[bytes, ...]:
    cell = image.bits_allocated // 8
    pixels = image.rows * image.columns
    whole = pixels * image.samples_per_pixel * cell
    is_422 = image.photometric_interpretation.endswith("_422") and (
        file.pixel_bytes is not None and file.pixel_bytes < whole * image.frames
    )
    size = pixels * 2 * cell if is_422 else whole
    data = file.pixel_data
    if len(data) < size * image.frames:
        raise TruncatedImageError
    if not file.little_endian:
        words = 2 if cell == 1 and file.pixel_vr == "OW" else cell
        even = data[: len(data) - len(data) % words]
        data = memoryview(np.frombuffer(even, f"u{words}").byteswap().tobytes())
    return tuple(bytes(data[each * size : (each + 1) * size]) for each in range(image.frames))


def _cells(frame: StoredFrame, image: ImagePixel) -> bytes:
    samples = frame.samples
    if frame.lossy:
        shift = image.high_bit + 1 - image.bits_stored
        numbers = np.clip(samples.astype(np.int64) >> shift, image.least, image.most)
        samples = numbers << shift
    elif (samples.dtype.kind == "i") != image.signed and samples.itemsize < _LONGEST_CELL:
        samples = _with_sign(samples, image)
    kind = "i" if samples.dtype.kind == "i" else "u"
    return samples.astype(f"<{kind}{image.bits_allocated // 8}").tobytes()


def _with_sign(samples: StoredSamples, image: ImagePixel) -> StoredSamples:
    """Return cells whose sign is the data set's, where a codestream has nothing above High Bit.

    Viewers read cells as whole words: the sign of a codestream, spread over the bits above, would
    make 63,488 of 2,048 to them.
    """
    sign = 1 << image.high_bit
    numbers = samples.astype(np.int32)
    if image.signed:
        return (numbers ^ sign) - sign if numbers.max() < 2 * sign else samples
    return numbers & (2 * sign - 1) if -sign <= numbers.min() and numbers.max() < sign else samples
