"""Reading a request's body into one buffer, and stopping work whose caller has gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import BodyTooLargeError, CallerGoneError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from fastapi import Request

T = TypeVar("T")

# What is read and thrown away of a body that is too large, so that the caller, who may not look
# for an answer before it has sent everything, gets to see the refusal instead of a reset.
_DRAINED_BYTES = 256 * 2**20


async def read_body(request: Request, limit_bytes: int) -> bytearray:
    """The whole body, in one buffer that grew no further than the limit.

    Raises
    ------
    BodyTooLargeError
        Said before anything is read where the caller waits for leave (``Expect: 100-continue``).
    CallerGoneError
        The connection closed before the body's end.
    """
    declared = int(request.headers.get("content-length", "0"))
    waits = request.headers.get("expect", "").lower() == "100-continue"
    if declared > limit_bytes and waits:
        raise BodyTooLargeError(limit_bytes)
    body = bytearray()
    received = 0
    more = True
    while more and received <= limit_bytes + _DRAINED_BYTES:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        chunk = message.get("body", b"")
        received += len(chunk)
        if max(received, declared) <= limit_bytes:
            body += chunk
        more = message.get("more_body", False)
    if received > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    return body


async def while_connected(request: Request, work: Coroutine[object, object, T]) -> T:
    """The work's result; cancelled, down to Triton, when the caller closes the connection.

    The body must have been read: what comes after it is the disconnection.

    Raises
    ------
    CallerGoneError
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnection(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise CallerGoneError
        return task.result()
    finally:
        for future in (task, gone):
            future.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await future


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
