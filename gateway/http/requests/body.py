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
from gateway.http.protocol.direct_bodies import direct_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from fastapi import Request

    from gateway.admission.admission import Slot
    from gateway.http.protocol.direct_bodies import DirectBody
    from gateway.runtime.deadline import Deadline
    from gateway.settings import HttpSettings

T = TypeVar("T")

# Content codings that are registered and met; what else a sender names is not repeated.
_CODINGS = {"br", "compress", "deflate", "gzip", "x-gzip", "zstd"}
# The event loop of a starved machine may itself be late: what came meanwhile is looked for.
_LATE_S = 0.1


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
    declared = _declared_bytes(request, limit_bytes)
    slot.hold_bytes(declared)
    due = _due_times(deadline, pace)
    size, more = 0, True
    body = bytearray(declared)  # at once: to grow it is to move it, again and again
    try:
        while more:
            piece, more = await _next_by(request, due(size))
            size += len(piece)
            if size > limit_bytes:
                raise BodyTooLargeError(limit_bytes)
            slot.hold_bytes(size)
            _put(piece, body, size)
            rest = direct_body(request.scope, memoryview(body)[size:]) if more else None
            if rest is not None:
                await _arrival(rest, declared, due)
                more = False
    except TimeoutError as error:
        if deadline.remaining_s() == 0:
            raise DeadlineExceededError("body") from error
        raise RequestTooSlowError("body") from error
    return body


def _declared_bytes(request: Request, limit_bytes: int) -> int:
    """Return the length that the head declares, 0 for none.

    Raises
    ------
    BodyTooLargeError
    """
    declared = int(request.headers.get("content-length", "0"))
    if declared > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    return declared


def _due_times(deadline: Deadline, pace: HttpSettings) -> Callable[[int], float]:
    """Return what tells when a body of which so many bytes are there is too slow.

    The time is the event loop's, in seconds.
    """
    began = asyncio.get_running_loop().time()
    latest = began + deadline.remaining_s()
    return lambda size: min(began + pace.body_grace_s + size / pace.body_bytes_per_s, latest)


def _put(piece: bytes, body: bytearray, end: int) -> None:
    """Put a piece into the body, where it ends at this place."""
    if end > len(body):  # nobody announced it
        body += piece
        return
    with memoryview(body) as view:
        view[end - len(piece) : end] = piece


async def _next(request: Request) -> tuple[bytes, bool]:
    """Return the next piece of the body, and True if more is to come.

    Raises
    ------
    CallerGoneError
        The connection closed before the body's end.
    """
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise CallerGoneError
    return message.get("body", b""), message.get("more_body", False)


async def _next_by(request: Request, due: float) -> tuple[bytes, bool]:
    """Return the next piece as `_next`, where it is there by this time of the event loop.

    Raises
    ------
    CallerGoneError
    TimeoutError
    """
    try:
        async with asyncio.timeout_at(due):
            return await _next(request)
    except TimeoutError:
        async with asyncio.timeout(_LATE_S):
            return await _next(request)


async def _arrival(rest: DirectBody, declared: int, due: Callable[[int], float]) -> None:
    """Return once the rest of a body is there; its pace is looked at when it may be too slow.

    Parameters
    ----------
    declared
        Bytes of the whole body.
    due
        Returns when a body of which so much is there is too slow, by the loop's clock.

    Raises
    ------
    CallerGoneError
    TimeoutError
        It came more slowly than is waited for.
    """
    now = asyncio.get_running_loop().time
    try:
        while not rest.ended.done():
            left_s = due(declared - rest.left) - now()
            await asyncio.wait([rest.ended], timeout=max(left_s, _LATE_S))
            if left_s <= 0 and due(declared - rest.left) <= now() and not rest.ended.done():
                raise TimeoutError
        if rest.left:
            raise CallerGoneError
    finally:
        rest.close()


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
            piece, more = await _next_by(request, began + allowed_s - waited_s)
        except TimeoutError as error:
            raise RequestTooSlowError("body") from error
        waited_s += clock() - began
        size += len(piece)
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
