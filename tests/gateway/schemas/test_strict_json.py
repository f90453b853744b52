"""Strict JSON: every fault at its place, and nothing but InvalidMetadataError."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidMetadataError
from gateway.schemas.metadata import parse_document
from gateway.schemas.strict_json import parse_json, pointer


def faults(document: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidMetadataError) as refused:
        parse_json(document)
    return [(fault.pointer, fault.detail) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (b'{"a": [1, -0.5, true, null, "\\u00e9"]}', {"a": [1, -0.5, True, None, "é"]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('"é\\ud83e\\ude7b"'.encode(), "é🩻"),
        (b"18446744073709551616", 2**64),
    ],
    ids=["plain", "byte order mark", "surrogate pair", "beyond 64 bits"],
)
def test_reads_json(document: bytes, value: object):
    assert parse_json(document) == value


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        (b"", "is not JSON: Expecting value at line 1, column 1"),
        (b'{"a": 1,\n}', "is not JSON: Illegal trailing comma before end of object"),
        (b'{"a": 1} {', "is not JSON: Extra data at line 1, column 10"),
        (b"{'a': 1}", "is not JSON: Expecting property name enclosed in double quotes"),
        (b'"a\nb"', "is not JSON: Invalid control character at line 1, column 3"),
        (b'"ab', "is not JSON: Unterminated string starting at line 1, column 1"),
        (b'{"name": "M\xfcller"}', "must be UTF-8: byte 11 is not"),
        ('{"a": 1}'.encode("utf-16"), "must be UTF-8: byte 0 is not"),
        (b'"\xed\xa0\x80"', "must be UTF-8: byte 1 is not"),
        (b'{"a": NaN}', "NaN is not JSON (RFC 8259, section 6)"),
        (b'{"a": -Infinity}', "-Infinity is not JSON (RFC 8259, section 6)"),
        (b"9" * 5000, "holds a number out of range"),
        (b"[" * 100_000, "is nested deeper than 64 levels"),
        (b'{"a":' * 100_000, "is nested deeper than 64 levels"),
    ],
)
def test_refuses_what_is_no_json(document: bytes, detail: str):
    if "trailing comma" in detail:  # Python 3.13 words this one
        detail = "is not JSON: "
    [(place, found)] = faults(document)
    assert place == ""
    assert found.startswith(detail)


def test_reports_every_value_that_could_not_be_kept_at_its_place():
    assert faults(
        b'{"a/b": 1e999, "c~d": [0, "\\ud800"], "e": {"f": 1, "f": 2, "g": {}, "g": 1},'
        b' "h": {"\\udc00": 1}}'
    ) == [
        ("/a~1b", "is a number out of range"),
        ("/c~0d/1", "must not hold unpaired surrogates"),
        ("/e/f", "stands twice in one object"),
        ("/e/g", "stands twice in one object"),
        ("/h", "has a name that holds unpaired surrogates"),
    ]


def test_a_repeated_name_that_no_answer_could_hold_is_told_of_by_its_object():
    assert faults(b'{"\\ud800": 1, "\\ud800": 2}') == [
        ("", "has a name that holds unpaired surrogates")
    ]


def test_takes_64_levels_and_no_more():
    assert parse_json(b"[" * 64 + b"]" * 64)
    assert faults(b"[" * 65 + b"]" * 65) == [("/0" * 64, "is nested deeper than 64 levels")]


def test_many_repeated_names_are_found_in_one_pass():
    # Compared pair by pair these took 13 s; the test's time-out is the assertion.
    names = [f"{number:x}" for number in range(30_000)]
    document = "{" + ",".join(f'"{name}":1' for name in [*names, *names]) + "}"
    assert len(faults(document.encode())) == len(names)


def test_a_pointer_escapes_as_rfc_6901_says():
    # RFC 6901, section 5.
    assert [pointer(step) for step in [(), ("foo", 0), ("",), ("a/b",), ("m~n",), ("~1",)]] == [
        "",
        "/foo/0",
        "/",
        "/a~1b",
        "/m~0n",
        "/~01",
    ]


@given(st.binary(max_size=200))
def test_bytes_give_a_value_or_faults(document: bytes):
    with contextlib.suppress(InvalidMetadataError):
        assert isinstance(parse_document(document), dict)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_is_taken_can_be_written_and_read_again(value: object):
    # Hypothesis' text has no surrogates; its floats have infinities, which JSON writes as names.
    document = json.dumps(value).encode()
    try:
        parsed = parse_json(document)
    except InvalidMetadataError:
        assert b"Infinity" in document
    else:
        assert json.loads(json.dumps(parsed, allow_nan=False)) == value
