"""JPEG 2000 and HTJ2K: what the markers of a codestream say of its samples and their coding.

pydicom's `get_j2k_parameters` tells precision and sign of the first component alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from preprocess.errors import CorruptImageError, TruncatedImageError, UnsupportedImageError

_START = b"\xff\x4f\xff\x51"  # SOC, and the SIZ that must follow
_COD, _COC, _SOT, _SOD, _EOC = 0xFF52, 0xFF53, 0xFF90, 0xFF93, b"\xff\xd9"
_PART_15, _PART_2 = 0x4000, 0x8000  # of Rsiz
_REVERSIBLE = 1
_LONGEST_BOXES = 4096
_MOST_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Jpeg2000Header:
    """Headers of a codestream, of its tile-parts too.

    Attributes
    ----------
    start : int
        Offset of the codestream: some writers leave the JP2 boxes around it, which PS3.5 A.4.4
        forbids.
    rows, columns, components : int
    precision : int
        Bits of a sample.
    signed : bool
    high_throughput : bool
        HTJ2K (ITU-T T.814).
    reversible : bool
        Every component of every tile is coded with the integer wavelet, which can be lossless.
    colour_transform : bool
        The first three components are transformed, which decoders undo.
    """

    start: int
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    high_throughput: bool
    reversible: bool
    colour_transform: bool


def read_header(codestream: bytes) -> Jpeg2000Header:
    """Return headers of a codestream that is complete up to its end marker.

    Raises
    ------
    UnsupportedImageError
        Components of several depths or sizes, or the extensions of Part 2.
    TruncatedImageError
        It ends before its last tile-part; some decoders take what there is.
    CorruptImageError

    References
    ----------
    ITU-T T.800, A.4.2 (SOT), A.5.1 (SIZ), A.6.1 (COD), A.6.2 (COC).
    """
    start = codestream.find(_START, 0, _LONGEST_BOXES)
    if start < 0:
        raise CorruptImageError("a compressed frame is no JPEG 2000 codestream")
    segments, position = _segments(codestream, start + 2)
    size = segments[0][1] if segments else b""
    components = int.from_bytes(size[34:36])
    if len(size) != 36 + 3 * components or not components:
        raise CorruptImageError("a compressed frame is no JPEG 2000 codestream")
    capabilities = int.from_bytes(size[:2])
    if capabilities & _PART_2:
        raise UnsupportedImageError("the extensions of JPEG 2000 Part 2 are not taken")
    if size[36:] != size[36:37] + b"\1\1" + size[36:39] * (components - 1):
        raise UnsupportedImageError("JPEG 2000 components of several sizes or depths are not taken")
    right, bottom, left, top = (int.from_bytes(size[at : at + 4]) for at in range(2, 18, 4))
    segments += _tile_part_segments(codestream, position)
    styles = [body for marker, body in segments if marker == _COD]
    if not styles or any(len(style) < 10 for style in styles):
        raise CorruptImageError("a JPEG 2000 codestream does not say how it is coded")
    return Jpeg2000Header(
        start=start,
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(size[36] & 0x7F) + 1,
        signed=bool(size[36] & 0x80),
        high_throughput=bool(capabilities & _PART_15),
        reversible=all(
            transformation == _REVERSIBLE for transformation in _transformations(segments)
        ),
        colour_transform=any(style[4] for style in styles),
    )


def _transformations(segments: list[tuple[int, bytes]]) -> Iterator[int]:
    """Yield the wavelet of each coding style, of all components (COD) or of one (COC)."""
    for marker, body in segments:
        if marker == _COD:
            yield body[9]
        elif marker == _COC:
            # Behind the component's index, one byte for up to 256 of them, and the style.
            yield body[6] if len(body) > 6 else -1


def _segments(codestream: bytes, position: int) -> tuple[list[tuple[int, bytes]], int]:
    """Return markers and bodies of a header, and where the SOT or SOD that ends it stands."""
    found: list[tuple[int, bytes]] = []
    for _ in range(_MOST_SEGMENTS):
        marker = int.from_bytes(codestream[position : position + 2])
        if marker in (_SOT, _SOD):
            return found, position
        length = int.from_bytes(codestream[position + 2 : position + 4])
        body = codestream[position + 4 : position + 2 + length]
        if position + 2 + length > len(codestream):
            raise TruncatedImageError
        if marker < 0xFF01 or length < 2:
            raise CorruptImageError("a JPEG 2000 codestream has bytes where a marker must stand")
        found.append((marker, body))
        position += 2 + length
    raise CorruptImageError("a JPEG 2000 codestream is made of too many segments")


def _tile_part_segments(codestream: bytes, position: int) -> list[tuple[int, bytes]]:
    """Return markers and bodies of all tile-parts' headers.

    Raises
    ------
    TruncatedImageError
        The last tile-part is not followed by the end of the codestream.
    """
    found: list[tuple[int, bytes]] = []
    while int.from_bytes(codestream[position : position + 2]) == _SOT:
        segments, data = _segments(codestream, position + 12)
        found += segments
        length = int.from_bytes(codestream[position + 6 : position + 10])
        if length == 0:  # the last one, up to the end marker
            position = max(codestream.rfind(_EOC), 0)
        elif length < data + 2 - position:
            raise CorruptImageError("a compressed frame has an impossible length")
        else:
            position += length
    if codestream[position : position + 2] != _EOC:
        raise TruncatedImageError
    return found
