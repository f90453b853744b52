"""Options of a request beside its study: a deadline, an asynchronous answer, a callback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gateway.access.callers import Caller, CallerKind
from gateway.errors import Fault, InvalidCallbackError, InvalidQueryError
from gateway.runtime.deadline import Deadline

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.datastructures import Headers

    from gateway.delivery.callbacks import Callbacks

CALLBACK_HEADER = "RadStream-Callback"
RESPOND_ASYNC = "respond-async"
_SECONDS = re.compile(r"0*[1-9][0-9]{0,5}")

REQUEST_TIMEOUT: dict[str, Any] = {
    "name": "Request-Timeout",
    "in": "header",
    "required": False,
    "description": "Seconds that the caller waits for the answer; after that the work is stopped "
    "and answered with 504. The operator's own limit stands above it.",
    "schema": {"type": "integer", "minimum": 1},
}


def wants_async(headers: Headers) -> bool:
    """Return whether the caller asks for an answer before the study is processed.

    References
    ----------
    RFC 7240, section 4.1 (`respond-async`).
    """
    preferences = ",".join(headers.getlist("prefer")).split(",")
    names = (preference.partition(";")[0].partition("=")[0] for preference in preferences)
    return any(name.strip().lower() == RESPOND_ASYNC for name in names)


def callback_of(headers: Headers, callbacks: Callbacks) -> str | None:
    """Return the URL to call when the study is processed; None without one.

    Raises
    ------
    InvalidCallbackError
        It is none that is called from here, or the caller waits for the answer anyway.
    """
    url = headers.get(CALLBACK_HEADER)
    if url is None:
        return None
    if not wants_async(headers):
        raise InvalidCallbackError("it goes with 'Prefer: respond-async' alone")
    callbacks.check(url)
    return url


def deadline_of(request: Request, limit_s: float) -> Deadline:
    """Return the deadline that begins with the request's head.

    Parameters
    ----------
    limit_s
        Seconds; a caller may ask for fewer and gets no more.

    Raises
    ------
    InvalidQueryError
        The header is not a whole number of seconds.

    References
    ----------
    draft-thomson-hybi-http-timeout: the field ``Request-Timeout``, in seconds. It never became an
    RFC, but what clients and proxies use instead (grpc-timeout, x-envoy-…) is bound to theirs, and
    the registered ``Prefer: wait`` (RFC 7240) asks for an early 202 rather than for an end.
    """
    asked = request.headers.get("request-timeout")
    if asked is None:
        return Deadline.after(limit_s)
    if not _SECONDS.fullmatch(asked):
        fault = Fault("header/Request-Timeout", "must be a whole number of seconds, 1 or more")
        raise InvalidQueryError((fault,))
    return Deadline.after(min(int(asked), limit_s))


def share_of(caller: Caller, request: Request) -> str:
    """Return the name of the share that the request counts against: its caller's or address's."""
    if caller.kind is CallerKind.ANONYMOUS:
        return f"address {request.client.host}" if request.client else "address"
    return f"{caller.kind} {caller.name}"
