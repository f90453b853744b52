"""Multipart bodies taken apart: RFC 2046, section 5.1, and RFC 7578."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MalformedRequestError, TooManyPartsError
from gateway.http.requests.multipart import split

BOUNDARY = "Jt8-X"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(data: bytes, *headers: bytes) -> bytes:
    return b"--Jt8-X\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + data


def named(name: str, data: bytes) -> bytes:
    return part(data, b'Content-Disposition: form-data; name="%s"' % name.encode())


def body(*parts: bytes) -> bytearray:
    return bytearray(b"".join(part + b"\r\n" for part in parts) + b"--Jt8-X--\r\n")


def parts_of(body: bytes, content_type: str = TYPE, limit: int = 16) -> list[tuple[str, bytes]]:
    found = split(bytearray(body), content_type, limit=limit)
    return [(part.name, bytes(part.data)) for part in found]


def test_gives_names_and_bytes_in_order():
    assert parts_of(body(named("metadata", b"{}"), named("image", b"\xff\xd8\0\r\n"))) == [
        ("metadata", b"{}"),
        ("image", b"\xff\xd8\0\r\n"),
    ]


def test_a_part_is_a_view_into_the_body():
    whole = body(named("image", b"white"))
    [found] = split(whole, TYPE, limit=1)
    whole[whole.index(b"white")] = ord("W")
    assert bytes(found.data) == b"White"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=Jt8-X",
        'multipart/form-data; boundary="Jt8-X"',
        'Multipart/Form-Data; charset=utf-8; BOUNDARY="Jt8-X"',
        "multipart/form-data;boundary=Jt8-X ; charset=utf-8",
    ],
)
def test_the_boundary_may_be_quoted_or_not(content_type: str):
    assert parts_of(body(named("image", b"x")), content_type) == [("image", b"x")]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary*=utf-8''Jt8-X",
    ],
)
def test_a_missing_boundary_is_named(content_type: str):
    with pytest.raises(MalformedRequestError) as refused:
        parts_of(body(named("image", b"x")), content_type)
    assert "names no boundary" in refused.value.reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        bytes(body(named("image", b"x")))[:-6],
        named("image", b"x" * 100),
        named("image", b"x") + b"\r\n--Jt8-X",
        b"--Jt8-X\r\nContent-Disposition: form-data",
        b"--other\r\n\r\nx\r\n--other--\r\n",
        b"no multipart at all",
    ],
)
def test_a_body_that_does_not_keep_to_its_boundary_is_refused(content: bytes):
    with pytest.raises(MalformedRequestError):
        parts_of(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"--other\r\n\r\nx\r\n--other--\r\n", "is the boundary that the Content-Type names"),
        (b"--Jt8-X\nContent-Disposition: form-data; name=image\n\nx\n--Jt8-X--\n", "CR LF"),
        (b"--Jt8-X\r\nContent-Disposition: form-data;\r\n name=image\r\n\r\nx", "on one line"),
    ],
)
def test_a_refused_body_is_told_what_to_mend(content: bytes, reason: str):
    with pytest.raises(MalformedRequestError) as refused:
        parts_of(content)
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Disposition form-data",
        b"Content Disposition: form-data",
        b"Content-Disp\xf6sition: form-data",
        b": form-data",
        b"X: " + b"x" * 10_000,
        b"\r\n".join(b"X-%d: x" % number for number in range(100)),
    ],
)
def test_a_broken_or_boundless_header_is_refused(header: bytes):
    with pytest.raises(MalformedRequestError):
        parts_of(body(part(b"x", header)))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"Content-Disposition: form-data; name=image", "image"),
        (b'content-disposition: form-data; name="image"; filename="a;name=b.jpg"', "image"),
        (b'Content-Disposition: form-data; filename="\xc3\xbc.jpg"; name="image"', "image"),
        (b'Content-Disposition: form-data; filename="\xfc\x00.jpg"; name="image"', "image"),
        (b'Content-Disposition: form-data; name="\xfc"', "�"),
        (b"Content-Disposition: form-data; name*=utf-8''image", ""),
        (b"Content-Disposition: form-data", ""),
        (b"Content-Type: image/jpeg", ""),
        (b"X-Empty:", ""),
    ],
)
def test_a_part_has_the_name_its_disposition_gives(header: bytes, name: str):
    assert parts_of(body(part(b"x", header))) == [(name, b"x")]


def test_a_part_without_headers_has_no_name():
    assert parts_of(body(part(b"x"))) == [("", b"x")]


def test_a_part_may_be_empty():
    assert parts_of(body(named("metadata", b""), named("image", b""))) == [
        ("metadata", b""),
        ("image", b""),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"--Jt8-X",  # a boundary begins a line
        b"\r\n--Jt8-",
        b"\r\n--Jt8",
        b"\r\r\n--\r\n-Jt8-X",
        b"\n--Jt8-X\n",  # lines end in CRLF
        b"\r\n--Jt8-Y--\r\n",
        b"\r\n-\r\n--\r\n--J\r\n--Jt8-\r\n",
        b"\r",
        b"--",
    ],
)
def test_what_looks_like_a_boundary_and_is_none_is_data(data: bytes):
    assert parts_of(body(named("image", data), named("image", b"2"))) == [
        ("image", data),
        ("image", b"2"),
    ]


def test_an_epilogue_is_ignored():
    # RFC 2046, section 5.1.1: implementations must ignore text that follows the last boundary.
    assert parts_of(bytes(body(named("image", b"x"))) + b"thank you\r\n--Jt8-X\r\n") == [
        ("image", b"x")
    ]


def test_blank_lines_may_come_before_the_first_boundary():
    assert parts_of(b"\r\n\r\n" + bytes(body(named("image", b"x")))) == [("image", b"x")]


@pytest.mark.parametrize(
    "preamble",
    [
        b"This is a multipart message in MIME format.\r\n",
        b"\r\nTwo lines\r\nand a dash-\r\n",
        b"a line that ends in --Jt8-X\r\n",
        b"lines that end\nin LF alone\n",
        b"--Jt8-XY\r\n",  # begins like the boundary and is longer
        b"--other\r\nContent-Disposition: form-data; name=image\r\n\r\nnone\r\n--other--\r\n",
        b"\0\xff\r\n" * 1000,
    ],
)
def test_a_preamble_is_ignored(preamble: bytes):
    # RFC 2046, section 5.1.1: implementations must ignore text that precedes the first boundary.
    whole = body(named("metadata", b"{}"), named("image", b"\xff\xd8\0\r\n"))
    assert parts_of(preamble + bytes(whole)) == [
        ("metadata", b"{}"),
        ("image", b"\xff\xd8\0\r\n"),
    ]


@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t  \t", b" " * 300])
@pytest.mark.parametrize("preamble", [b"", b"preamble\r\n"])
def test_white_space_behind_a_boundary_is_ignored(preamble: bytes, padding: bytes):
    # RFC 2046, section 5.1.1: transport padding, which "may be added by the transport".
    whole = bytes(body(named("metadata", b"{}"), named("image", b"--Jt8-X \r\n")))
    padded = whole.replace(b"--Jt8-X\r\n", b"--Jt8-X" + padding + b"\r\n")
    padded = padded.replace(b"--Jt8-X--", b"--Jt8-X--" + padding)
    assert parts_of(preamble + padded) == [("metadata", b"{}"), ("image", b"--Jt8-X \r\n")]


def test_a_part_behind_a_preamble_is_a_view_into_the_body():
    whole = bytearray(b"preamble\r\n") + body(named("image", b"white"))
    [found] = split(whole, TYPE, limit=1)
    whole[whole.index(b"white")] = ord("W")
    assert bytes(found.data) == b"White"


def test_a_body_whose_first_boundary_closes_it_has_no_parts():
    assert parts_of(b"nothing came\r\n--Jt8-X--\r\n") == []


def test_there_may_be_as_many_parts_as_the_limit_says():
    sixteen = body(*[named("image", b"x")] * 16)
    assert len(parts_of(sixteen, limit=16)) == 16
    with pytest.raises(TooManyPartsError) as refused:
        parts_of(sixteen, limit=15)
    assert refused.value.limit == 15


# Bytes in which boundaries and their pieces are likely.
_DATA = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"Jt8-X", b"\0", b"\xff", b": "])
    | st.binary(max_size=5),
    max_size=12,
).map(b"".join)


@given(st.lists(_DATA.filter(lambda data: b"\r\n--Jt8-X" not in b"\r\n" + data), max_size=8))
def test_parts_come_back_as_they_were_put_in(datas: list[bytes]):
    if not datas:  # a body of no parts has no delimiter to close
        return
    assert parts_of(body(*[named("image", data) for data in datas])) == [
        ("image", data) for data in datas
    ]


@given(
    st.data(),
    st.lists(_DATA, min_size=1, max_size=3),
)
def test_a_damaged_body_gives_parts_or_a_typed_error(data: st.DataObject, datas: list[bytes]):
    whole = body(*[part(item, data.draw(_DATA), b"Content-Type: " + item) for item in datas])
    at = data.draw(st.integers(0, len(whole)))
    whole[at : at + data.draw(st.integers(0, 9))] = data.draw(_DATA)
    with contextlib.suppress(MalformedRequestError, TooManyPartsError):
        parts_of(whole, limit=2)


@given(st.text(max_size=40), st.binary(max_size=40))
def test_any_content_type_gives_parts_or_a_typed_error(parameters: str, content: bytes):
    header = f"multipart/form-data; {parameters}".encode(errors="replace").decode("latin-1")
    with contextlib.suppress(MalformedRequestError, TooManyPartsError):
        parts_of(content, header)
