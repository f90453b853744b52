"""A request's body, read whole or in pieces, and the stop of work whose caller has gone."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import (
    BodyTooLargeError,
    CallerGoneError,
    ContentCodingError,
    DeadlineExceededError,
    RequestTooSlowError,
)
from gateway.http.protocol.reception import direct_body
from gateway.runtime.loop_lateness import Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from fastapi import Request

    from gateway.admission.admission import Slot
    from gateway.http.protocol.reception import DirectBody
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
    declared = _declared_bytes(request, limit_bytes)
    slot.hold_bytes(declared)
    patience = _Patience(pace, deadline.remaining_s())
    size, more = 0, True
    body = bytearray(declared)  # at once: to grow it is to move it, again and again
    try:
        while more:
            rest = direct_body(request.scope, memoryview(body)[size:])
            if rest is not None:
                await _arrival(rest, declared, patience)
                break
            piece, more = await _next_in_time(request, patience, size)
            size += len(piece)
            if size > limit_bytes:
                raise BodyTooLargeError(limit_bytes)
            slot.hold_bytes(size)
            _put(piece, body, size)
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


async def _next_in_time(request: Request, patience: _Patience, size: int) -> tuple[bytes, bool]:
    """Return the next piece as `_next`, of a body of which so much is there.

    Raises
    ------
    CallerGoneError
    TimeoutError
        It came more slowly than is waited for.
    """
    while True:
        step = patience.step(size)
        try:
            async with asyncio.timeout_at(step.end):
                return await _next(request)
        except TimeoutError:
            if patience.is_over(size, step):
                raise


async def _arrival(rest: DirectBody, declared: int, patience: _Patience) -> None:
    """Return once the rest of a body is there; its pace is looked at when it may be too slow.

    Parameters
    ----------
    declared
        Bytes of the whole body.

    Raises
    ------
    CallerGoneError
    TimeoutError
        It came more slowly than is waited for.
    """
    try:
        while not rest.ended.done():
            step = patience.step(declared - rest.left)
            await asyncio.wait([rest.ended], timeout=step.end - step.begin)
            if not rest.ended.done() and patience.is_over(declared - rest.left, step):
                raise TimeoutError
        if rest.left:
            raise CallerGoneError
    finally:
        rest.close()


class _Patience:
    """Time for which a body is waited, by the event loop's clock.

    What the sender is not to blame for is left out of account: the time of the body's reader, and
    the loop's lateness (`gateway.runtime.loop_lateness`).

    Parameters
    ----------
    settings
        Grace and rate.
    longest_s
        Seconds in which it is to be there whatever happens.
    """

    def __init__(self, settings: HttpSettings, longest_s: float = math.inf) -> None:
        self._settings = settings
        self.now = asyncio.get_running_loop().time
        self._began = self.now()
        self._latest = self._began + longest_s

    def step(self, size: int) -> Step:
        """Return the next step of waiting for a body of which so many bytes are there."""
        return Step.of(self.now(), self._due(size))

    def is_over(self, size: int, step: Step) -> bool:
        """Return True if such a body is too slow, now that a step has ended."""
        self.excuse(step.excused_s(self.now()))
        return self._due(size) <= self.now()

    def excuse(self, seconds: float) -> None:
        """Leave so much time out of account."""
        self._began += seconds

    def _due(self, size: int) -> float:
        earned_s = self._settings.body_grace_s + size / self._settings.body_bytes_per_s
        return min(self._began + earned_s, self._latest)


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
    patience, size, more = _Patience(pace), 0, True
    while more:
        try:
            piece, more = await _next_in_time(request, patience, size)
        except TimeoutError as error:
            raise RequestTooSlowError("body") from error
        size += len(piece)
        if piece:
            handed_over = patience.now()
            yield piece
            patience.excuse(patience.now() - handed_over)


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
