"""Pure ASGI middleware: ids for logs and traces, metrics, the last word on unexpected errors."""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders

from gateway.http.problems import internal_error
from gateway.observability.library_warnings import one_event, told_before
from gateway.observability.tracing import (
    NO_TRACER,
    continued,
    exemplar,
    failed,
    spanned,
    traceparent,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.observability.metrics import Metrics
    from gateway.runtime.health import Health

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Asked every few seconds by machines: a trace of each would bury the studies.
_UNTRACED = {"/livez", "/readyz", "/metrics"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestContext:
    """Gives every request an id and a trace, in its logs and in its answer.

    ``X-Request-ID`` is taken over where it is short and plain; ``traceparent`` (W3C Trace Context)
    is continued where it is valid, else begun. The answer's names the request's own span.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer = NO_TRACER) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the ids, then pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        offered = headers.get("x-request-id", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                answer["traceparent"] = own
                _describe(span, scope, message["status"])
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with spanned(
            NO_TRACER if scope["path"] in _UNTRACED else self._tracer,
            _method(scope),
            context=continued(headers.get("traceparent", "")),
            kind=SpanKind.SERVER,
        ) as span:
            own = traceparent() or ""
            with one_event() if scope["method"] == "POST" else told_before():
                await self._app(scope, receive, send_with_ids)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Name a request's span by OpenTelemetry's conventions; its path may hold a study's id."""
    if not span.is_recording():
        return
    method, route = _method(scope), _route(scope)
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
    )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        failed(span, str(status))


def _route(scope: Scope) -> str:
    """The template of the request's route, of which there is a fixed number."""
    return getattr(scope.get("route"), "path", "unmatched")


def _method(scope: Scope) -> str:
    """The request's method, as far as it is one that anybody here answers."""
    return scope["method"] if scope["method"] in _METHODS else "other"


class UnsentBodies:
    """Ends the connection with an answer to a caller that waits for leave to send its body.

    Otherwise the next request on it would be read as that body (RFC 9110, section 10.1.1). So it
    does behind 408: the rest of that body is not waited for (section 15.5.9).
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
            if message["type"] == "http.response.start" and (
                waits or message["status"] == HTTPStatus.REQUEST_TIMEOUT
            ):
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive_body, send_closing)


class DrainingConnections:
    """Ends each connection with its next answer from when the process drains.

    Its sender opens the next one to another gateway. A connection kept open would be closed when
    the listener is, at which moment the sender may be writing a request on it.
    """

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; close behind its answer if the process drains by then."""

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._health.draining:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_closing)


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
                route = _route(scope)
                self._metrics.http.requests.labels(route, _method(scope), str(status)).inc()
                self._metrics.http.seconds.labels(route).observe(
                    time.perf_counter() - began, exemplar()
                )


class HeadRequests:
    """Answers HEAD wherever GET is answered, with the same header fields.

    The routes are asked as by GET. From the answer's head on the method is HEAD again: for the
    audit trail, the metrics, and the server, which leaves the body out (RFC 9110, section 9.3.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; as GET, if it is HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_as_head(message: Message) -> None:
            scope["method"] = "HEAD"
            await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_as_head)
        finally:
            scope["method"] = "HEAD"


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
