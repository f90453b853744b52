"""HL7 v2 messages in their encoding of delimiters and escapes ("ER7").

By hand, since a message is a few dozen fields and of the two libraries that are kept up neither
writes every text so that it reads as it was: hl7apy 1.3.5 leaves a text that looks like an escape
as it is, and hl7 0.4.5 writes a character outside ASCII as its code point, whatever the message's
character set. The tests read the messages with both.

References
----------
HL7 2.5.1, chapter 2: 2.5.4 (delimiters), 2.7 (escapes), 2.16 (data types).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.schemas.hl7 import Charset

_DELIMITERS = {"|": "F", "^": "S", "&": "T", "~": "R", "\\": "E"}
_SEPARATOR, _ENCODING_CHARACTERS = "|", "^~\\&"
# A field of these two characters alone says that its value is to be deleted.
_NULL = '""'
# Control characters, among them the bytes of MLLP's frame; separators of lines and paragraphs, at
# which some receivers split; and halves of characters.
_NO_TEXT = {"Cc", "Zl", "Zp", "Cs"}


@dataclass(frozen=True, slots=True)
class FormattedText:
    """A text whose lines are told apart (data type FT)."""

    text: str


Component = str | tuple[str, ...]
"""A component; a tuple is of its subcomponents."""
Repetition = tuple[Component, ...]
"""One value of several components."""
Field = str | FormattedText | Repetition | list[Repetition]
"""A field: of one component, of several, or repeated."""


class Encoder:
    """An encoder of messages in one character set."""

    def __init__(self, charset: Charset) -> None:
        self._charset = charset

    def message(self, segments: list[tuple[str, Mapping[int, Field]]]) -> bytes:
        """Return the message.

        Parameters
        ----------
        segments
            Name of each, and its fields by their position as the standard counts them. MSH-1 and
            MSH-2 are given by the encoding.
        """
        lines = (self._segment(name, fields) for name, fields in segments)
        text = "".join(f"{line}\r" for line in lines)
        return text.encode(self._charset.codec)

    def _segment(self, name: str, fields: Mapping[int, Field]) -> str:
        written = {position: self._field(field) for position, field in fields.items()}
        kept = [position for position, text in written.items() if text]
        first, head = (3, [name, _ENCODING_CHARACTERS]) if name == "MSH" else (1, [name])
        rest = range(first, max(kept, default=0) + 1)
        return _SEPARATOR.join(head + [written.get(position, "") for position in rest])

    def _field(self, field: Field) -> str:
        if isinstance(field, list):
            return "~".join(map(self._field, field))
        if isinstance(field, FormattedText):
            lines = field.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            return "\\.br\\".join(map(self._escaped, lines))
        if isinstance(field, str):
            return self._escaped(field)
        return "^".join(map(self._component, field)).rstrip("^")

    def _component(self, component: Component) -> str:
        parts = (component,) if isinstance(component, str) else component
        return "&".join(map(self._escaped, parts)).rstrip("&")

    def _escaped(self, text: str) -> str:
        if text == _NULL:
            return _hexadecimal(text.encode("ascii"))
        return "".join(map(self._character, text))

    def _character(self, character: str) -> str:
        if character in _DELIMITERS:
            return f"\\{_DELIMITERS[character]}\\"
        if unicodedata.category(character) in _NO_TEXT:
            return _hexadecimal(character.encode("utf-8", "replace"))
        try:
            character.encode(self._charset.codec)
        except UnicodeEncodeError:
            return _hexadecimal(character.encode())
        return character


def _hexadecimal(data: bytes) -> str:
    return f"\\X{data.hex().upper()}\\"
