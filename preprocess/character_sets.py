"""Text of a data set, decoded as its Specific Character Set (0008,0005) says.

Not pydicom's decoder: that one splits at a backslash before it decodes, replaces what it cannot
decode, and names the character set in Python warnings.
"""

import re
import unicodedata
from dataclasses import dataclass

# PS3.3 C.12.1.1.2, defined terms without code extensions: the codec of a whole value.
_CODECS = {
    "ISOIR192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
# PS3.3 Table C.12-2 and C.12-3: the right half (G1) that a single-byte character set begins with.
_RIGHT_HALVES = {
    "6": None,
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "144": "iso8859_5",
    "127": "iso8859_6",
    "126": "iso8859_7",
    "138": "iso8859_8",
    "148": "iso8859_9",
    "203": "iso8859_15",
    "166": "tis_620",
    "13": "katakana",
    # Multi-byte sets begin with an escape sequence. These two are also met without any.
    "149": "euc_kr",
    "58": "gb2312",
    "87": None,
    "159": None,
}
# PS3.3 Tables C.12-3 and C.12-4: what each escape sequence puts into the left or the right half.
_LEFT_ESCAPES = {
    b"(B": "ascii",
    b"(J": "romaji",
    b"$B": "$B",
    b"$@": "$@",
    b"$(D": "$(D",
}
_RIGHT_ESCAPES = {
    b")I": "katakana",
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-L": "iso8859_5",
    b"-G": "iso8859_6",
    b"-F": "iso8859_7",
    b"-H": "iso8859_8",
    b"-M": "iso8859_9",
    b"-b": "iso8859_15",
    b"-T": "tis_620",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
}
_NAME = re.compile(r"ISO(2022)?IR(\d+)")
# An escape sequence, a control character or space, or a run of characters of one half.
_PIECES = re.compile(rb"\x1b(\$?[()\-]?[@-~])|([\x00-\x20])|([\x21-\x7f]+)|([\x80-\xff]+)")
# PS3.5 6.1.2.5.3: after these the character sets are those of the value's beginning again.
_RESETTING = b"\t\n\f\r"
_WIDE = ("$B", "$@", "$(D")
# Stands where an earlier program could not decode: it may have been any character.
_LOST = "\N{REPLACEMENT CHARACTER}"


def has_control_characters(text: str) -> bool:
    """Return True if a text has characters that no identifier may have.

    References
    ----------
    DICOM PS3.5, 6.2, LO and SH. Unicode, general category Cc.
    """
    return any(unicodedata.category(character) == "Cc" for character in text)


def defined_terms() -> tuple[str, ...]:
    """Return the terms of Specific Character Set (0008,0005) that are understood."""
    single = [f"ISO_IR {number}" for number in _RIGHT_HALVES]
    extended = [f"ISO 2022 IR {number}" for number in _RIGHT_HALVES]
    return (*single, *extended, "ISO_IR 192", "GB18030", "GBK")


class UndecodableTextError(ValueError):
    """The bytes are none that the character set has characters for."""


@dataclass(slots=True)
class _Halves:
    left: str
    right: str | None


def decode_text(raw: bytes, character_set: bytes) -> str:
    """Decode the value of an LO, SH or other text element, whole: a backslash does not divide it.

    Two values that differ in more than redundant escape sequences are never decoded to one text.

    Parameters
    ----------
    raw
        The bytes as they stand in the file.
    character_set
        The bytes of Specific Character Set; empty where it is absent.

    Raises
    ------
    UndecodableTextError
        The character set is unknown or has no such characters, or some of them were lost before.

    Notes
    -----
    Without any character set only ASCII is allowed. Bytes beyond it are met nevertheless, and are
    read as Latin-1, which keeps each apart from every other.

    References
    ----------
    DICOM PS3.5, 6.1.2; PS3.3, C.12.1.1.2.
    """
    text = _decoded(raw, character_set)
    if _LOST in text:
        raise UndecodableTextError
    return text


def _decoded(raw: bytes, character_set: bytes) -> str:
    names = [_canonical(name) for name in character_set.split(b"\\")]
    # A set that allows no others is also met in the second place, behind an empty first one.
    first = names[0] or next((name for name in names if name in _CODECS), "")
    try:
        if first in _CODECS:
            return raw.decode(_CODECS[first])
        initial = _initial(first, named=any(names))
        try:
            return _decode_halves(raw, initial)
        except ValueError:
            if initial.right != "katakana" or b"\x1b" in raw:
                raise
            return raw.decode("shift_jis")  # which some senders mean by ISO_IR 13
    except (LookupError, ValueError) as error:
        raise UndecodableTextError from error


def _canonical(name: bytes) -> str:
    """Return the defined term without its separators, which are often written in another way."""
    text = re.sub(r"[\s_\0-]", "", name.decode("ascii", "replace").upper())
    return "ISOIR192" if text in ("UTF8", "ISO2022IR192") else text


def _initial(first: str, *, named: bool) -> _Halves:
    if not first:
        return _Halves("ascii", None if named else "latin_1")
    found = _NAME.fullmatch(first)
    if found is None:
        # Of an unknown set it is known only that it may have ASCII in it.
        return _Halves("ascii", None)
    right = _RIGHT_HALVES.get(found[2])
    return _Halves("romaji" if found[2] == "13" else "ascii", right)


def _decode_halves(raw: bytes, initial: _Halves) -> str:
    """Return text by code extension (ISO 2022), or of one single-byte set if there is no escape."""
    halves = _Halves(initial.left, initial.right)
    text: list[str] = []
    for piece in _pieces(raw):
        if piece[0] == 0x1B:
            _designate(halves, piece[1:])
        elif piece[0] >= 0x80:
            text.append(_decode_right(piece, halves.right))
        else:
            text.append(_decode_left(piece, halves.left))
            delimits = halves.left not in _WIDE and b"\\" in piece
            if delimits or piece in _RESETTING:
                halves = _Halves(initial.left, initial.right)
    return "".join(text)


def _pieces(raw: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at < len(raw):
        found = _PIECES.match(raw, at)
        if found is None:
            raise UndecodableTextError
        pieces.append(found[0])
        at = found.end()
    return pieces


def _designate(halves: _Halves, sequence: bytes) -> None:
    if sequence in _LEFT_ESCAPES:
        halves.left = _LEFT_ESCAPES[sequence]
    elif sequence in _RIGHT_ESCAPES:
        halves.right = _RIGHT_ESCAPES[sequence]
    else:
        raise UndecodableTextError


def _decode_left(piece: bytes, left: str) -> str:
    if left in _WIDE and piece[0] > 0x20:
        return (b"\x1b" + left.encode() + piece + b"\x1b(B").decode("iso2022_jp_1")
    text = piece.decode("ascii")
    return text.translate({0x5C: 0xA5, 0x7E: 0x203E}) if left == "romaji" else text


def _decode_right(piece: bytes, right: str | None) -> str:
    if right is None:
        raise UndecodableTextError
    if right != "katakana":
        return piece.decode(right)
    if not all(0xA1 <= byte <= 0xDF for byte in piece):
        raise UndecodableTextError
    return piece.decode("shift_jis")
