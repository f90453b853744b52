"""Codestreams made for a test, of any precision and sign that their coding knows."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.preprocess import dicoms

Encoder = Callable[[NDArray[np.integer], int, bool], bytes | None]


def as_numbers(cells: NDArray[np.integer], precision: int, *, signed: bool) -> NDArray[np.integer]:
    """The lowest bits of each cell as the numbers that a codec of that precision and sign takes."""
    numbers = cells.astype(np.int64) & ((1 << precision) - 1)
    if signed:
        numbers -= (numbers >> (precision - 1)) << precision
    width = 8 if precision <= 8 else 16
    return numbers.astype(f"{'i' if signed else 'u'}{width // 8}")


def jpeg_lossless(predictor: int) -> Encoder:
    def encode(cells: NDArray[np.integer], precision: int, signed: bool) -> bytes | None:
        if signed:
            return None
        numbers = as_numbers(cells, precision, signed=False)
        return imagecodecs.jpeg8_encode(
            numbers, lossless=True, predictor=predictor, bitspersample=precision
        )

    return encode


def jpeg_dct(cells: NDArray[np.integer], precision: int, signed: bool) -> bytes | None:
    if signed or precision not in (8, 12):
        return None
    numbers = as_numbers(cells, precision, signed=False)
    options = {} if precision == 8 else {"bitspersample": 12}
    return imagecodecs.jpeg8_encode(numbers, level=98, **options)


def jpeg_ls(near: int) -> Encoder:
    def encode(cells: NDArray[np.integer], precision: int, signed: bool) -> bytes | None:
        if signed or precision not in (8, 16):
            return None
        return imagecodecs.jpegls_encode(as_numbers(cells, precision, signed=False), level=near)

    return encode


def jpeg_2000(level: int, *, reversible: bool) -> Encoder:
    def encode(cells: NDArray[np.integer], precision: int, signed: bool) -> bytes:
        return imagecodecs.jpeg2k_encode(
            as_numbers(cells, precision, signed=signed),
            level=level,
            codecformat="j2k",
            reversible=reversible,
            bitspersample=precision,
        )

    return encode


def htj2k(*, reversible: bool, level: float | None = None) -> Encoder:
    def encode(cells: NDArray[np.integer], precision: int, signed: bool) -> bytes | None:
        numbers = as_numbers(cells, precision, signed=signed)
        width = 8 * numbers.itemsize
        # The encoder knows 8 and 16 bits. Others are told to the decoder, which then lays another
        # scale to quantized numbers.
        if precision not in (8, 16) and not reversible:
            return None
        if not signed:  # what the decoder will add is half of the range that it is told
            numbers = numbers + (1 << (width - 1)) - (1 << (precision - 1))
        stream = imagecodecs.htj2k_encode(
            numbers.astype(f"{'i' if signed else 'u'}{width // 8}"),
            reversible=reversible,
            level=level,
        )
        at = stream.index(b"\xff\x4f\xff\x51") + 42
        depths = stream[at : at + 9 : 3] if numbers.ndim == 3 else stream[at : at + 1]
        told = bytes(depth & 0x80 | (precision - 1) for depth in depths)
        head = bytearray(stream)
        head[at : at + 3 * len(told) : 3] = told
        return bytes(head)

    return encode


@dataclass(frozen=True)
class Codec:
    """A coding of the table; `lossy` by the codestream, whatever the syntax allows."""

    name: str
    syntax: str
    encode: Encoder | None
    lossy: bool = False
    knows_sign: bool = False


CODECS = (
    Codec("implicit", ImplicitVRLittleEndian, None),
    Codec("explicit", ExplicitVRLittleEndian, None),
    Codec("big endian", ExplicitVRBigEndian, None),
    Codec("deflated", DeflatedExplicitVRLittleEndian, None),
    Codec("RLE", RLELossless, None),
    Codec("JPEG baseline", JPEGBaseline8Bit, jpeg_dct, lossy=True),
    Codec("JPEG extended", JPEGExtended12Bit, jpeg_dct, lossy=True),
    Codec("JPEG lossless", JPEGLossless, jpeg_lossless(6)),
    Codec("JPEG lossless SV1", JPEGLosslessSV1, jpeg_lossless(1)),
    Codec("JPEG-LS", JPEGLSLossless, jpeg_ls(0)),
    Codec("JPEG-LS near", JPEGLSNearLossless, jpeg_ls(2), lossy=True),
    Codec("JPEG-LS near, without loss", JPEGLSNearLossless, jpeg_ls(0)),
    Codec("J2K", JPEG2000Lossless, jpeg_2000(0, reversible=True), knows_sign=True),
    Codec("J2K 91, lossless", JPEG2000, jpeg_2000(0, reversible=True), knows_sign=True),
    Codec("J2K 91", JPEG2000, jpeg_2000(100, reversible=False), lossy=True, knows_sign=True),
    Codec("J2K 90, lossy", JPEG2000Lossless, jpeg_2000(100, reversible=False), True, True),
    Codec("HTJ2K", HTJ2KLossless, htj2k(reversible=True), knows_sign=True),
    Codec("HTJ2K RPCL", HTJ2KLosslessRPCL, htj2k(reversible=True), knows_sign=True),
    Codec("HTJ2K 203, lossless", HTJ2K, htj2k(reversible=True), knows_sign=True),
    Codec("HTJ2K 203", HTJ2K, htj2k(reversible=False, level=1e-5), True, True),
    Codec("HTJ2K 201, lossy", HTJ2KLossless, htj2k(reversible=False, level=1e-5), True, True),
)


def rle(cells: NDArray[np.integer]) -> bytes:
    """An RLE frame of literal runs (PS3.5 Annex G): plane by plane, the high bytes first."""
    planes = [cells] if cells.ndim == 2 else [cells[..., plane] for plane in range(3)]
    segments = []
    for plane in planes:
        octets = plane.astype(f">u{cells.itemsize}").view(np.uint8).reshape(-1, cells.itemsize)
        for octet in range(cells.itemsize):
            data = octets[:, octet].tobytes()
            runs = [data[at : at + 128] for at in range(0, len(data), 128)]
            segment = b"".join(bytes((len(run) - 1,)) + run for run in runs)
            segments.append(segment + bytes(len(segment) % 2))
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    words = [len(segments), *offsets, *[0] * (15 - len(offsets))]
    return np.array(words, "<u4").tobytes() + b"".join(segments)


def file(codec: Codec, cells: NDArray[np.integer], *frames: bytes, **attributes: object) -> bytes:
    """A DICOM file of the cells in a coding, or of the frames given."""
    if codec.syntax == RLELossless:
        frames = (rle(cells),)
    if frames:
        return dicoms.write(dicoms.compressed(cells, *frames, **attributes), codec.syntax)
    dataset = dicoms.image(cells, **attributes)
    if codec.syntax == ExplicitVRBigEndian:
        dataset.PixelData = cells.astype(cells.dtype.newbyteorder(">")).tobytes()
        dataset["PixelData"].VR = "OB" if cells.itemsize == 1 else "OW"
    return dicoms.write(dataset, codec.syntax)
