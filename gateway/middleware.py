"""Pure ASGI middleware: ids for logs and traces, metrics, the last word on unexpected errors."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers, MutableHeaders

from gateway.problems import internal_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.metrics import Metrics

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context, section 3.2: version 00; an all-zero id is invalid.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


class RequestContext:
    """Gives every request an id and a trace, in its logs and in its answer.

    ``X-Request-ID`` is taken over where it is short and plain; ``traceparent`` (W3C Trace Context)
    is continued where it is valid, else begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the ids, then pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        offered = headers.get("x-request-id", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)
        trace_id, flags = secrets.token_hex(16), "00"
        if parent := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
            trace_id, flags = parent.groups()
        traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                answer["traceparent"] = traceparent
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, trace_id=trace_id)
        await self._app(scope, receive, send_with_ids)


class UnsentBodies:
    """Ends the connection with an answer to a caller that waits for leave to send its body.

    Otherwise the next request on it would be read as that body (RFC 9110, section 10.1.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; close behind an answer that came before its body."""
        waits = scope["type"] == "http" and Headers(scope=scope).get("expect", "") != ""

        async def receive_body() -> Message:
            nonlocal waits
            waits = False  # the server gives leave when it is asked for the body
            return await receive()

        async def send_closing(message: Message) -> None:
            if waits and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive_body, send_closing)


class RequestMetrics:
    """Counts and times every request by its route's template."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.http.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_noting_status)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.http.requests.labels(route, method, str(status)).inc()
                self._metrics.http.seconds.labels(route).observe(time.perf_counter() - began)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class UnexpectedErrors:
    """Logs what nobody foresaw once, and answers with an id and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and catch what nobody else caught."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting_start)
        except Exception:
            # The traceback's last frames carry code, not data: no value of a study is in it.
            log.exception("request.unexpected_error")
            if started:
                raise
            await internal_error(scope["state"]["request_id"])(scope, receive, send)
