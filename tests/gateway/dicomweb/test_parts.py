"""Parts of a multipart/related body, however it is cut into pieces."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission, Slot
from gateway.dicomweb import parts as module
from gateway.dicomweb.parts import Parts, RelatedParts, WholeBody
from gateway.errors import (
    BodyTooLargeError,
    MalformedRequestError,
    OverloadedError,
    TooManyPartsError,
)
from gateway.observability.metrics import Metrics

HEADER = b"Content-Type: application/dicom\r\n\r\n"
BODY = (
    b"--b\r\n"
    + HEADER
    + b"one\r\n--c\r\n\r\n--b\r\n"
    + HEADER
    + b"\r\n--b\r\n\r\nthree\r\n--\r\n--b--\r\nepilogue"
)
READ = [b"one\r\n--c\r\n", b"", b"three\r\n--"]


async def pieces(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


def cut(body: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(body) + 1) for place in places)
    return [body[begin:end] for begin, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def room(size: int = 2**20) -> Admission:
    metrics = Metrics(CollectorRegistry())
    return Admission(bytes_limit=size, studies_limit=2, pictures_limit=1, metrics=metrics)


async def read(parts: Parts, admission: Admission | None = None) -> list[module.Part]:
    """Return every part, each in a slot of its own."""
    admission = admission or room()
    found = []
    while True:
        with admission.slot("sender") as slot:

            async def hold(size: int, slot: Slot = slot) -> None:
                slot.hold_bytes(size)

            part = await parts.next(hold)
        if part is None:
            return found
        found.append(part)


def related(*texts: bytes, boundary: bytes = b"b", limit_bytes: int = 2**20) -> RelatedParts:
    return RelatedParts(pieces(*texts), boundary, limit_bytes=limit_bytes)


@given(st.lists(st.integers(0, 500), max_size=8))
async def test_pieces_of_any_length_make_the_same_parts(places: list[int]) -> None:
    found = await read(related(*cut(BODY, places)))
    assert [bytes(part.data) for part in found] == READ


@given(st.lists(st.integers(0, 500), max_size=4))
async def test_a_preamble_is_passed_over(places: list[int]) -> None:
    body = b"--bc\r\na preamble, then\n--b \t\r\n" + BODY.removeprefix(b"--b\r\n")
    assert [bytes(part.data) for part in await read(related(*cut(body, places)))] == READ


@pytest.mark.parametrize("boundary", [b"a'()+_,-./:=?0", b"0" * 70])
async def test_boundaries_of_the_characters_that_are_allowed(boundary: bytes) -> None:
    body = b"--%s\r\n\r\none\r\n--%s--" % (boundary, boundary)
    assert [bytes(part.data) for part in await read(related(body, boundary=boundary))] == [b"one"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all\r\n" * 10_000,
        b"--c\r\n" + HEADER + b"one\r\n--c--",
        b"--b\r\n" + HEADER + b"one",
        b"--b\r\n" + HEADER + b"one\r\n--b",
        b"--b\r\n" + b"no header\r\n\r\none\r\n--b--",
        b"--b\r\n" + b"X: 1\r\n" * 33 + b"\r\none\r\n--b--",
        b"--b\r\n" + b"X: " + b"1" * 9000 + b"\r\n\r\none\r\n--b--",
    ],
    ids=[
        "nothing",
        "no boundary",
        "another boundary",
        "no end",
        "no end of the boundary",
        "no header",
        "too many headers",
        "too long a header",
    ],
)
async def test_what_cannot_be_taken_apart(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        await read(related(body))


async def test_a_boundary_that_is_too_long() -> None:
    with pytest.raises(MalformedRequestError):
        related(boundary=b"b" * 300)


async def test_a_body_without_parts() -> None:
    assert await read(related(b"--b--\r\n")) == []


async def test_a_part_that_is_too_long_costs_no_other_and_keeps_its_beginning() -> None:
    body = b"--b\r\n\r\n%s\r\n--b\r\n\r\nsmall\r\n--b--" % (b"x" * 100_000)
    found = await read(related(*cut(body, [30_000, 70_000]), limit_bytes=99_999))
    assert [(len(part.data), type(part.error)) for part in found] == [
        (64 << 10, BodyTooLargeError),
        (5, type(None)),
    ]


async def test_a_part_without_room_costs_no_other() -> None:
    admission = room(1000)
    body = b"--b\r\n\r\n%s\r\n--b\r\n\r\nsmall\r\n--b--" % (b"x" * 2000)
    found = await read(related(body), admission)
    assert [type(part.error) for part in found] == [OverloadedError, type(None)]
    assert admission.bytes.used == 0


@pytest.mark.parametrize(
    "rest", [b"", HEADER + b"two", b"no header\r\n\r\ntwo\r\n--b\r\n\r\nthree\r\n--b--"]
)
async def test_a_body_that_breaks_off_ends_with_a_part_that_is_not_taken(rest: bytes) -> None:
    found = await read(related(b"--b\r\n\r\none\r\n--b\r\n" + rest))
    assert [type(part.error) for part in found] == [type(None), MalformedRequestError]


async def test_no_two_parts_are_in_memory_together() -> None:
    admission = room(1500)
    body = b"--b\r\n\r\n%s\r\n--b\r\n\r\n%s\r\n--b--" % (b"x" * 700, b"y" * 700)
    assert [part.error for part in await read(related(body), admission)] == [None, None]


async def test_too_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PARTS", 2)
    with pytest.raises(TooManyPartsError):
        await read(related(BODY))


async def test_a_body_that_is_one_instance() -> None:
    found = await read(WholeBody(pieces(b"on", b"e"), limit_bytes=3))
    assert [bytes(part.data) for part in found] == [b"one"]


async def test_a_body_that_is_one_instance_and_too_long() -> None:
    with pytest.raises(BodyTooLargeError):
        await read(WholeBody(pieces(b"on", b"ee"), limit_bytes=3))
