"""The encoding, as two libraries and the standard's own words read it."""

import re

import hl7
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.renderings.hl7_encoding import Encoder, FormattedText
from gateway.schemas.hl7 import Charset

HEAD = ("MSH", {3: "RADSTREAM", 9: ("ORU", "R01"), 12: "2.5.1"})
ESCAPED = re.compile(r"\\(X[0-9A-F]+|\.br|[FSTRE])\\")
LETTERS = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", ".br": "\n"}

texts = st.text(st.characters(exclude_categories=["Cs"]))


def written(field: object, charset: Charset = Charset.UTF_8) -> str:
    """The field NTE-3 as it goes over the line, and nothing beside it."""
    message = Encoder(charset).message([HEAD, ("NTE", {3: field})]).decode(charset.codec)
    head, note, end = message.split("\r")
    assert head == "MSH|^~\\&|RADSTREAM||||||ORU^R01|||2.5.1"
    assert end == ""
    return note.removeprefix("NTE|||") if note != "NTE" else ""


def read(field: str) -> str:
    """The text of a field by the rules of chapter 2, 2.7; hexadecimal data are UTF-8."""
    assert not set("|^&~") & set(field)

    def meant(found: re.Match[str]) -> str:
        code = found[1]
        return bytes.fromhex(code[1:]).decode() if code[0] == "X" else LETTERS[code]

    return ESCAPED.sub(meant, field)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("O|N^E&T~W\\O", r"O\F\N\S\E\T\T\R\W\E\O"),
        (r"\F\ and \X0D\ ", r"\E\F\E\ and \E\X0D\E\ "),
        ("a\rb\x0b\x1c\r", r"a\X0D\b\X0B\\X1C\\X0D\\"[:-1]),
        ("\x85\u2028", r"\XC285\\XE280A8\\"[:-1]),
        ('""', r"\X2222\\"[:-1]),
        ("Müller 山田", "Müller 山田"),
    ],
)
def test_a_text_is_escaped(text: str, field: str):
    assert written(text) == field
    assert read(field) == text


def test_a_formatted_text_keeps_its_lines():
    assert written(FormattedText("a\r\nb\rc\n|d")) == r"a\.br\b\.br\c\.br\\F\d"


def test_what_a_character_set_lacks_is_sent_as_hexadecimal_data():
    assert written("Müller 山", Charset.LATIN_1) == r"Müller \XE5B1B1\\"[:-1]
    assert written("Müller", Charset.ASCII) == r"M\XC3BC\ller"


def test_empty_components_at_the_end_are_left_out():
    assert written(("a", "", ("b", "c", ""), "", ())) == "a^^b&c"
    assert written([("a", "b"), ("c",)]) == "a^b~c"
    assert written(()) == ""


@pytest.mark.parametrize("charset", Charset)
def test_a_character_set_is_named_as_the_standard_and_python_name_it(charset: Charset):
    assert "a".encode(charset.codec) == b"a"


@given(texts, st.sampled_from(Charset))
@example("\x00\x1f\x7f\x80\x9f\u2028\u2029\u200d\ufeff\U0010ffff", Charset.ASCII)
def test_every_text_is_read_as_it_was(text: str, charset: Charset):
    assert read(written(text, charset)) == text


@given(st.text(st.characters(max_codepoint=0x7F) | st.characters(exclude_categories=["C", "Z"])))
def test_a_library_reads_every_text_as_it_was(text: str):
    message = Encoder(Charset.UTF_8).message([HEAD, ("OBX", {5: text, 6: "end"})])
    parsed = hl7.parse(message, encoding="utf-8")
    assert parsed.unescape(str(parsed["OBX"][0][5])) == text
    assert str(parsed["OBX"][0][6]) == "end"
