"""JP2 boxes around a JPEG 2000 codestream, which PS3.5 A.4.4 forbids and some writers leave.

The data set says what the samples mean, so that boxes are not needed; but some say that the
samples are not what they look like.
"""

from collections.abc import Iterator

from preprocess.errors import UnsupportedImageError

_SUPERBOX = b"jp2h"
_PALETTE, _CHANNELS, _COLOUR = b"pclr", b"cdef", b"colr"
_ENUMERATED = b"\1"  # METH of a colour specification; the others are ICC profiles
_COLOUR_SPACES = frozenset((16, 17, 18))  # sRGB, grey, sYCC: Photometric Interpretation tells them
_COLOUR_CHANNEL = 0


def check_boxes(boxes: bytes) -> None:
    """Refuse a codestream whose samples are other than its components in their order.

    Parameters
    ----------
    boxes : bytes
        The bytes before the codestream; empty where it is bare, as it should be.

    Raises
    ------
    UnsupportedImageError
        The samples are indices of a palette, channels in another order, transparency or ink.

    References
    ----------
    ITU-T T.800, I.5.3.3 (colr), I.5.3.4 (pclr), I.5.3.6 (cdef).
    """
    for kind, body in _boxes(boxes):
        if kind == _PALETTE:
            raise UnsupportedImageError("a palette in JP2 boxes around a codestream is not taken")
        if kind == _CHANNELS and not _in_order(body):
            raise UnsupportedImageError(
                "JP2 boxes around a codestream give its components another meaning than their order"
            )
        enumerated = kind == _COLOUR and body[:1] == _ENUMERATED and body[3:7]
        if enumerated and int.from_bytes(enumerated) not in _COLOUR_SPACES:
            raise UnsupportedImageError(
                "JP2 boxes around a codestream name a colour space that is not taken"
            )


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each box, those in the header box too; what is cut off ends them."""
    at = 0
    while at + 8 <= len(data):
        length, kind, start = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16]), at + 16
        end = at + length if length else len(data)
        if end < start:
            return
        if kind == _SUPERBOX:
            yield from _boxes(data[start:end])
        else:
            yield kind, data[start:end]
        at = end


def _in_order(body: bytes) -> bool:
    """Return True if each channel is the colour of its own number, or of the whole picture."""
    for at in range(2, len(body) - 5, 6):
        channel, kind, colour = (
            int.from_bytes(body[at + part : at + part + 2]) for part in (0, 2, 4)
        )
        if kind != _COLOUR_CHANNEL or colour not in (0, channel + 1):
            return False
    return True
