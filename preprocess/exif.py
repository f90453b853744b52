"""Orientation of a picture, from its Exif block."""

import struct

import numpy as np

from preprocess.types import Samples

_ORIENTATION = 0x0112
_SHORT = 3


def read_orientation(exif: bytes) -> int:
    """Exif Orientation, 1 to 8; 1 (upright) where the block holds none that can be read.

    Parameters
    ----------
    exif : bytes
        The TIFF structure: byte order mark, magic number, offset of the first directory.

    References
    ----------
    CIPA DC-008 (Exif 2.32), 4.6.2 and 4.6.4 A (tag 274, Orientation); TIFF 6.0, section 2.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(entries):
            tag, kind, _count, value = struct.unpack_from(
                order + "HHIH", exif, directory + 2 + 12 * entry
            )
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:  # the block ends early: it names no orientation
        pass
    return 1


def is_transposed(orientation: int) -> bool:
    """True if rows and columns change places when the orientation is applied."""
    return orientation >= 5


def apply_orientation(samples: Samples, orientation: int) -> Samples:
    """The picture upright, C-contiguous; the input itself when it is upright already.

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
