"""PNG files written by hand, right and wrong ones, of kinds that no library writes."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def header(rows: int, columns: int, depth: int = 8, colour: int = 0, *, interlace: bool = False):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, interlace))


def scan_lines(samples: NDArray) -> bytes:
    """Unfiltered scan lines of samples, (rows, columns) or (rows, columns, channels)."""
    big_endian = samples.astype(samples.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big_endian)


def interlaced_lines(samples: NDArray) -> bytes:
    passes = (samples[row::down, column::across] for row, column, down, across in ADAM7)
    return b"".join(scan_lines(part) for part in passes if part.size)


def write(
    samples: NDArray, colour: int = 0, *, interlace: bool = False, extra: tuple[bytes, ...] = ()
) -> bytes:
    rows, columns = samples.shape[:2]
    lines = interlaced_lines(samples) if interlace else scan_lines(samples)
    return b"".join(
        (
            SIGNATURE,
            header(rows, columns, 8 * samples.dtype.itemsize, colour, interlace=interlace),
            *extra,
            chunk(b"IDAT", zlib.compress(lines)),
            chunk(b"IEND", b""),
        )
    )


def ramp(rows: int, columns: int, dtype: type = np.uint8, largest: int | None = None) -> NDArray:
    """Every pixel another value where there is room, black at the top left and white at the end."""
    top = np.iinfo(dtype).max if largest is None else largest
    return np.linspace(0, top, rows * columns).round().astype(dtype).reshape(rows, columns)
