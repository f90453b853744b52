"""A request's body, read whole or in pieces, and the stop of work whose caller has gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import (
    BodyTooLargeError,
    CallerGoneError,
    ContentCodingError,
    DeadlineExceededError,
    RequestTooSlowError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from fastapi import Request

    from gateway.admission.admission import Slot
    from gateway.runtime.deadline import Deadline
    from gateway.settings import HttpSettings

T = TypeVar("T")

# Content codings that are registered and met; what else a sender names is not repeated.
_CODINGS = {"br", "compress", "deflate", "gzip", "x-gzip", "zstd"}


async def read_body(
    request: Request, limit_bytes: int, *, slot: Slot, deadline: Deadline, pace: HttpSettings
) -> bytearray:
    """Return the whole body, in one buffer that grew no further than the limit.

    What can be said by the request's head is said before anything is read. The answer does not
    wait for the rest of a refused body: see `gateway.http.protocol.connections` for what becomes of
    that.

    Parameters
    ----------
    limit_bytes
        The longest body taken.
    slot
        Holds the body's bytes.
    deadline
        Of the request.
    pace
        The slowest pace at which a body may come.

    Raises
    ------
    ContentCodingError
    BodyTooLargeError
    OverloadedError
        There is no room for the body.
    RequestTooSlowError
        The body came more slowly than is waited for.
    DeadlineExceededError
    CallerGoneError
        The connection closed before the body's end.
    """
    _check_coding(request)
    declared = int(request.headers.get("content-length", "0"))
    if declared > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    slot.hold_bytes(declared)
    began = asyncio.get_running_loop().time()
    latest = began + deadline.remaining_s()
    patience = asyncio.timeout_at(min(began + pace.body_grace_s, latest))
    try:
        async with patience:
            body = bytearray(declared)  # at once: to grow it is to move it, again and again
            async for size in _received(request, body, limit_bytes, slot):
                due = began + pace.body_grace_s + size / pace.body_bytes_per_s
                patience.reschedule(min(due, latest))
            return body
    except TimeoutError as error:
        if deadline.remaining_s() == 0:
            raise DeadlineExceededError("body") from error
        raise RequestTooSlowError("body") from error


async def _received(
    request: Request, body: bytearray, limit_bytes: int, slot: Slot
) -> AsyncIterator[int]:
    """Fill the body, and yield its bytes so far after each piece."""
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise BodyTooLargeError(limit_bytes)
        slot.hold_bytes(size)
        if size > len(body):  # nobody announced it
            body += piece
        else:
            with memoryview(body) as view:
                view[size - len(piece) : size] = piece
        more = message.get("more_body", False)
        if more:
            yield size


async def body_pieces(request: Request, pace: HttpSettings) -> AsyncIterator[bytes]:
    """Yield the body as it comes; it may be longer than there is memory.

    Parameters
    ----------
    pace
        The least rate at which it comes. The time that the consumer of the pieces needs is not
        counted: meanwhile the sender is kept from sending.

    Raises
    ------
    ContentCodingError
    RequestTooSlowError
        The body came more slowly than is waited for.
    CallerGoneError
        The connection closed before the body's end.
    """
    _check_coding(request)
    clock = asyncio.get_running_loop().time
    size, waited_s, more = 0, 0.0, True
    while more:
        allowed_s = pace.body_grace_s + size / pace.body_bytes_per_s
        began = clock()
        try:
            async with asyncio.timeout(allowed_s - waited_s):
                message = await request.receive()
        except TimeoutError as error:
            raise RequestTooSlowError("body") from error
        waited_s += clock() - began
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        piece = message.get("body", b"")
        size += len(piece)
        more = message.get("more_body", False)
        if piece:
            yield piece


async def while_connected(request: Request, work: Coroutine[object, object, T]) -> T:
    """Return the work's result; cancelled, down to Triton, when the caller closes the connection.

    The body must have been read: what comes after it is the disconnection.

    Raises
    ------
    CallerGoneError
    """
    connected = asyncio.timeout(None)  # until the caller goes
    watch = asyncio.ensure_future(_expire_when_gone(request, connected))
    try:
        async with connected:
            return await work
    except TimeoutError as error:
        if not connected.expired():
            raise
        raise CallerGoneError from error
    finally:
        watch.cancel()


async def _expire_when_gone(request: Request, connected: asyncio.Timeout) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    connected.reschedule(asyncio.get_running_loop().time())


def _check_coding(request: Request) -> None:
    """Refuse a body under a content coding (RFC 9110, section 8.4), whose bytes are no image's.

    Raises
    ------
    ContentCodingError
    """
    named = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    codings = {coding.strip() for coding in named} - {"", "identity"}
    if codings:
        [coding, *_] = sorted(codings)
        raise ContentCodingError(coding if coding in _CODINGS else "another coding")
