"""Text is what its Specific Character Set says, and two texts never become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.character_sets import (
    UndecodableTextError,
    decode_text,
    has_control_characters,
)


@pytest.mark.parametrize(
    ("raw", "character_set", "text"),
    [
        (b"P-1", b"", "P-1"),
        (b"P-1", b"ISO_IR 192", "P-1"),
        ("Müller-7".encode(), b"ISO_IR 192", "Müller-7"),
        ("Müller".encode(), b"\\ISO_IR 192", "Müller"),
        (b"M\xfcller", b"ISO_IR 100", "Müller"),
        (b"M\xfcller", b"ISO IR-100 ", "Müller"),
        (b"\xb8\xd2\xd0\xdd\xde\xd2", b"ISO_IR 144", "Иванов"),
        (b"\xca\xcc", b"ISO_IR 166", "สฬ"),
        # PS3.5 H.3: two-byte characters in the left half, whose bytes are ASCII.
        (b"\x1b$B;3ED\x1b(B", b"\\ISO 2022 IR 87", "山田"),
        (b"1\x1b$B!\\\x1b(B2", b"\\ISO 2022 IR 87", "1\uff0b2"),
        (b"\x1b$(D0A\x1b(B", b"\\ISO 2022 IR 159", "亯"),
        (b"\xd4\xcf\xc0\xde \x1b$B;3ED\x1b(J7", b"ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ 山田7"),
        # PS3.5 I and K: two-byte characters in the right half.
        (b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf-7", b"\\ISO 2022 IR 149", "김희중-7"),
        (b"\xb1\xe8", b"ISO 2022 IR 149", "김"),
        (b"\x1b$)A\xcd\xf5", b"\\ISO 2022 IR 58", "王"),
        (b"A\x1b-L\xb0\x1b-F\xe1", b"ISO 2022 IR 100\\ISO 2022 IR 144", "A\u0410\u03b1"),
        # The second byte of a character may be that of a backslash.
        (b"\x83\x5c1", b"ISO_IR 13", "ソ1"),
        ("誠7".encode("gbk"), b"GBK", "誠7"),
        (b"\x81\x5c", b"GBK", "乗"),
        (b"\x81\x5c", b"GB18030", "乗"),
        # In JIS X 0201 the byte of the backslash is the yen sign.
        (b"A\\~", b"ISO_IR 13", "A¥‾"),
        # Without a character set, each byte beyond ASCII is a character of its own.
        (b"M\xfcller\\7", b"", "Müller\\7"),
    ],
)
def test_bytes_become_the_characters_they_stand_for(raw: bytes, character_set: bytes, text: str):
    assert decode_text(raw, character_set) == text


@pytest.mark.parametrize(
    ("raw", "character_set"),
    [
        (b"M\xfcller", b"ISO_IR 192"),
        (b"M\xfcller", b"ISO_IR 6"),
        (b"M\xfcller", b"ISO_IR 999"),
        (b"M\xfcller", b"windows-1252"),
        (b"\xb1\xe8", b"\\ISO 2022 IR 149"),
        (b"\x1b$)C\xb1", b"\\ISO 2022 IR 149"),
        (b"\x1b$B;3E", b"\\ISO 2022 IR 87"),
        (b"\x1b$B\x7e\x7e\x1b(B", b"\\ISO 2022 IR 87"),
        (b"\x1b$Q;3", b"\\ISO 2022 IR 87"),
        (b"\x1b", b""),
        (b"\x81\xff", b"GBK"),
        (b"M\xef\xbf\xbdller", b"ISO_IR 192"),
        (b"M\x84\x31\xa4\x37ller", b"GB18030"),
        (b"\xa0\xff", b"ISO_IR 13"),
    ],
)
def test_bytes_without_a_character_are_refused(raw: bytes, character_set: bytes):
    with pytest.raises(UndecodableTextError):
        decode_text(raw, character_set)


def test_a_control_character_ends_what_an_escape_began():
    with pytest.raises(UndecodableTextError):
        decode_text(b"\x1b$)C\xb1\xe8\r\n\xb1\xe8", b"\\ISO 2022 IR 149")


_SETS = (b"", b"ISO_IR 100", b"ISO_IR 13", b"ISO_IR 192", b"GB18030", b"\\ISO 2022 IR 87")


@given(st.sampled_from(_SETS), st.binary(max_size=8), st.binary(max_size=8))
def test_two_values_without_escapes_never_become_one(
    character_set: bytes, one: bytes, other: bytes
):
    texts = []
    for raw in (one, other):
        try:
            texts.append(decode_text(raw.replace(b"\x1b", b""), character_set))
        except UndecodableTextError:
            return
    assert (texts[0] == texts[1]) == (one.replace(b"\x1b", b"") == other.replace(b"\x1b", b""))


def test_control_characters_are_those_of_both_halves():
    found = [number for number in range(0x3000) if has_control_characters(f"A{chr(number)}B")]
    assert found == [*range(0x20), *range(0x7F, 0xA0)]
