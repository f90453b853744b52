"""Answers in several parts, which are made while they are sent."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from gateway.dicomweb.media_types import RELATED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """A part of an answer.

    Parameters
    ----------
    data, content_type
        Its bytes and their type, parameters included.
    location
        Path that it is retrieved at by itself.
    """

    data: bytes
    content_type: str
    location: str


class MadeAnswer(StreamingResponse):
    """An answer whose maker ends with it, though the caller goes before its end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        async with aclosing(self._made):
            await super().__call__(scope, receive, send)

    def __init__(
        self,
        made: AsyncGenerator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._made = made
        super().__init__(made, media_type=media_type, headers=headers)


async def begun(made: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Return the same pieces once the first is made: what fails there is answered as a problem."""
    first = await anext(made)

    async def pieces() -> AsyncIterator[bytes]:
        async with aclosing(made):
            yield first
            async for piece in made:
                yield piece

    return pieces()  # type: ignore[return-value]  # a function with `yield` makes a generator


async def related_answer(parts: AsyncGenerator[AnswerPart], media_type: str) -> MadeAnswer:
    """Return an answer of these parts.

    References
    ----------
    PS3.18, 8.6.1.2; RFC 2387.
    """
    boundary = secrets.token_hex(16)

    async def pieces() -> AsyncGenerator[bytes]:
        async with aclosing(parts):
            async for part in parts:
                head = (
                    f"--{boundary}\r\nContent-Type: {part.content_type}\r\n"
                    f"Content-Length: {len(part.data)}\r\nContent-Location: {part.location}\r\n\r\n"
                )
                yield head.encode()
                yield part.data
                yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    made = await begun(pieces())
    return MadeAnswer(made, f'{RELATED}; type="{media_type}"; boundary={boundary}')
