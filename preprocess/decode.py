"""From the bytes of a file to upright grey frames."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from preprocess import dicom, formats, jpeg, png
from preprocess.beginning import find_beginning
from preprocess.errors import (
    CorruptImageError,
    PreprocessError,
    TooManyPixelsError,
    UnrecognisedImageError,
)
from preprocess.exif import apply_orientation, is_transposed
from preprocess.types import Buffer, Frame, Header, Limits, MediaType

UNFORESEEN = "the file cannot be decoded"
"""Reason of an error that this package did not foresee; the fuzz tests fail on it."""


def sniff(data: Buffer) -> MediaType:
    """Return the media type that the bytes themselves tell.

    Raises
    ------
    UnrecognisedImageError
        They tell none of those taken; the error names the format where it is known.

    References
    ----------
    ITU-T T.81, B.1.1.3 (SOI); PNG (Third Edition), 5.2; DICOM PS3.10, 7.1 (preamble, "DICM").
    """
    # DICOM first: its preamble is free, so it may also be the beginning of another format.
    if find_beginning(data) is not None:
        return MediaType.DICOM
    head = bytes(data[:8])
    if head.startswith(jpeg.SIGNATURE):
        return MediaType.JPEG
    if head == png.SIGNATURE:
        return MediaType.PNG
    raise UnrecognisedImageError(formats.name_of(bytes(data[: formats.HEAD_BYTES])))


def measure(data: Buffer, limits: Limits | None = None) -> Header:
    """Return size and depth of the picture as its header declares them; no pixel is decoded.

    Raises
    ------
    UnrecognisedImageError, UnsupportedImageError, CorruptImageError, TruncatedImageError
    """
    with _unforeseen_errors_translated():
        return _measure(data, limits or Limits())


def _measure(data: Buffer, limits: Limits) -> Header:
    match sniff(data):
        case MediaType.JPEG:
            coded = jpeg.read_header(data)
            jpeg.check_file_kind(coded)
            rows, columns = coded.rows, coded.columns
            if is_transposed(coded.orientation):
                rows, columns = columns, rows
            return Header(
                MediaType.JPEG, rows, columns, coded.precision, samples_per_pixel=coded.components
            )
        case MediaType.PNG:
            head = png.read_header(data)
            rows, columns = head.rows, head.columns
            if is_transposed(png.read_chunks(data).orientation):
                rows, columns = columns, rows
            return Header(
                MediaType.PNG, rows, columns, head.bit_depth, samples_per_pixel=head.channels
            )
        case MediaType.DICOM:
            return dicom.measure(data, limits)


def decode(
    data: Buffer, limits: Limits | None = None, *, at_least: tuple[int, int] | None = None
) -> tuple[Frame, ...]:
    """Return the frames of a JPEG, PNG or DICOM file.

    Parameters
    ----------
    data : bytes-like
        The whole file; not changed and not kept.
    limits : Limits, optional
        Bounds on the file's size, checked before any pixel is allocated.
    at_least : (rows, columns), optional
        A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as it keeps this many rows and
        columns. Without it every picture is decoded in full.

    Returns
    -------
    tuple of Frame
        One for each frame; a JPEG or PNG has one.

    Raises
    ------
    PreprocessError
        One of its kinds, for every way in which a file can be bad.
    """
    with _unforeseen_errors_translated():
        return _decode(data, limits or Limits(), at_least)


@contextmanager
def _unforeseen_errors_translated() -> Iterator[None]:
    """Turn any other error into a typed one: no file may bring a service down."""
    try:
        yield
    except (PreprocessError, MemoryError):
        raise
    except Exception as error:
        raise CorruptImageError(UNFORESEEN) from error


def _decode(data: Buffer, limits: Limits, at_least: tuple[int, int] | None) -> tuple[Frame, ...]:
    match sniff(data):
        case MediaType.JPEG:
            return (_decode_jpeg(data, limits, at_least),)
        case MediaType.PNG:
            return (_decode_png(data, limits),)
        case MediaType.DICOM:
            return dicom.decode(data, limits)


def _decode_jpeg(data: Buffer, limits: Limits, at_least: tuple[int, int] | None) -> Frame:
    header = jpeg.read_header(data)
    jpeg.check_file_kind(header)
    _check_pixels(header.rows, header.columns, header.components, limits)
    jpeg.check_scans(data, header, limits.jpeg_scans)
    transposed = is_transposed(header.orientation)
    reduction = 1
    if at_least is not None:
        rows, columns = reversed(at_least) if transposed else at_least
        reduction = max(
            factor
            for factor in (1, 2, 4, 8)
            if factor == 1 or (header.rows >= rows * factor and header.columns >= columns * factor)
        )
    pixels = apply_orientation(jpeg.decode_grey(data, header, reduction), header.orientation)
    size = (header.rows, header.columns)
    rows, columns = reversed(size) if transposed else size
    return Frame(
        pixels,
        8,
        rows=rows,
        columns=columns,
        reduction=reduction,
        overhang=_overhang((rows, columns), reduction, header.orientation),
    )


def _overhang(size: tuple[int, int], reduction: int, orientation: int) -> tuple[float, float]:
    """Return what juts out before the first row and column, in samples.

    A reduced JPEG is padded at the bottom and at the right, as it is coded. What turns it upright
    may bring these edges to the top and to the left.
    """
    corners = apply_orientation(np.arange(4, dtype=np.uint8).reshape(2, 2), orientation)
    turned = np.argwhere(corners == 0)[0]  # whether the coded first row and column come last
    rows, columns = (
        float(last) * (-length % reduction) / reduction
        for last, length in zip(turned, size, strict=True)
    )
    return rows, columns


def _decode_png(data: Buffer, limits: Limits) -> Frame:
    header = png.read_header(data)
    _check_pixels(header.rows, header.columns, header.channels, limits)
    chunks = png.read_chunks(data)
    png.check_image_data(header, chunks.image_data)
    pixels = png.decode_grey(data, header)
    bits = 8
    if header.bit_depth == 16:
        bits = png.bits_stored(pixels, chunks.significant_bits)
        pixels = png.to_depth(pixels, bits)
    pixels = apply_orientation(pixels, chunks.orientation)
    rows, columns = pixels.shape
    return Frame(pixels, bits, rows=rows, columns=columns)


def _check_pixels(rows: int, columns: int, samples_per_pixel: int, limits: Limits) -> None:
    if rows * columns * samples_per_pixel > limits.pixels:
        raise TooManyPixelsError(rows, columns, limits.pixels, samples_per_pixel=samples_per_pixel)
