"""Orientation of a picture, from its Exif block.

Not Pillow's reader, which warns of damaged blocks and takes text for a number.
"""

import struct
from fractions import Fraction

import numpy as np

from preprocess.types import Samples

_ORIENTATION = 0x0112
_PREFIX = b"Exif\0\0"  # of the segment of a JPEG; some writers put it into a PNG's chunk as well
# TIFF's numbers. Exif wants SHORT; libraries that keep all numbers as LONG write that, and others
# as RATIONAL.
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 5: "II", 10: "ii", 11: "f", 12: "d"}
_INLINE_BYTES = 4  # values of more bytes stand elsewhere, at the offset that the entry gives


def read_orientation(exif: bytes) -> int:
    """Return Exif Orientation, 1 to 8; 1 (upright) where the block holds none that can be read.

    Parameters
    ----------
    exif : bytes
        The TIFF structure: byte order mark, magic number, offset of the first directory.

    Notes
    -----
    The first value counts, if it is a whole number of any of TIFF's types, wherever it stands.

    References
    ----------
    CIPA DC-008 (Exif 2.32), 4.6.2 and 4.6.4 A (tag 274, Orientation); TIFF 6.0, section 2.
    """
    exif = exif.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            (tag,) = struct.unpack_from(order + "H", exif, entry)
            if tag == _ORIENTATION:
                value = _first_number(exif, entry, order)
                return value if 1 <= value <= 8 else 1
    # The block ends early, or has a number beyond all bounds: it names no orientation.
    except (struct.error, ValueError, OverflowError, ZeroDivisionError):
        pass
    return 1


def _first_number(exif: bytes, entry: int, order: str) -> int:
    """Return the first value of the directory entry at this offset; 0 if it is no whole number."""
    kind, count, offset = struct.unpack_from(order + "HII", exif, entry + 2)
    if kind not in _NUMBERS or count == 0:
        return 0
    form = order + _NUMBERS[kind]
    if count * struct.calcsize(form) <= _INLINE_BYTES:
        offset = entry + 8
    numerator, *denominator = struct.unpack_from(form, exif, offset)
    value = Fraction(numerator, *denominator)
    return int(value) if value.denominator == 1 else 0


def is_transposed(orientation: int) -> bool:
    """Return True if rows and columns change places when the orientation is applied."""
    return orientation >= 5


def apply_orientation(samples: Samples, orientation: int) -> Samples:
    """Return the picture upright, C-contiguous; the input itself when it is upright already.

    Parameters
    ----------
    samples : ndarray, shape (rows, columns)
        Not changed.
    orientation : int
        Exif Orientation, 1 to 8.
    """
    match orientation:
        case 2:
            upright = samples[:, ::-1]
        case 3:
            upright = samples[::-1, ::-1]
        case 4:
            upright = samples[::-1]
        case 5:
            upright = samples.T
        case 6:
            upright = samples[::-1].T
        case 7:
            upright = samples[::-1, ::-1].T
        case 8:
            upright = samples[:, ::-1].T
        case _:
            return samples
    return np.ascontiguousarray(upright)
