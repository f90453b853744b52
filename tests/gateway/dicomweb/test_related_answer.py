"""Answers in several parts."""

from collections.abc import AsyncGenerator

import pytest

from gateway.dicomweb.related_answer import AnswerPart, begun, related_answer
from gateway.errors import StoreUnavailableError


class Maker:
    """Makes parts, and notes that it was closed."""

    def __init__(self, *parts: AnswerPart) -> None:
        self.parts = parts
        self.is_closed = False

    async def made(self) -> AsyncGenerator[AnswerPart]:
        try:
            for part in self.parts:
                yield part
        finally:
            self.is_closed = True


async def failing() -> AsyncGenerator[bytes]:
    raise StoreUnavailableError("full")
    yield b""


async def test_parts_stand_between_boundaries_with_their_heads():
    maker = Maker(AnswerPart(b"abc", "image/jpeg", "/a"), AnswerPart(b"", "image/jpeg", "/b"))
    answer = await related_answer(maker.made(), "image/jpeg")
    media_type, _, boundary = (answer.media_type or "").partition("; boundary=")
    assert media_type == 'multipart/related; type="image/jpeg"'
    body = b"".join([bytes(piece) async for piece in answer.body_iterator])
    assert body.decode() == (
        f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n"
        f"Content-Location: /a\r\n\r\nabc\r\n"
        f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: 0\r\n"
        f"Content-Location: /b\r\n\r\n\r\n"
        f"--{boundary}--\r\n"
    )
    assert maker.is_closed


async def test_what_fails_before_the_first_piece_is_an_error_and_no_answer():
    with pytest.raises(StoreUnavailableError):
        await begun(failing())
