"""Pure ASGI middleware that gives requests an id and a trace.

Not OpenTelemetry's instrumentation of ASGI: it puts the path into every span, and a path may hold a
study's id.
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers, MutableHeaders

from gateway.observability.library_warnings import one_event, told_before
from gateway.observability.tracing import (
    NO_TRACER,
    continued,
    failed,
    spanned,
    traceparent,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Asked every few seconds by machines: a trace of each would bury the studies.
_UNTRACED = {"/livez", "/readyz", "/metrics"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class RequestContext:
    """Middleware that gives every request an id and a trace, in its logs and in its answer.

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
            method_of(scope),
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
    method, route = method_of(scope), route_of(scope)
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


def route_of(scope: Scope) -> str:
    """Return the template of the request's route, of which there is a fixed number."""
    return getattr(scope.get("route"), "path", "unmatched")


def method_of(scope: Scope) -> str:
    """Return the request's method, as far as it is one that is answered here."""
    return scope["method"] if scope["method"] in _METHODS else "other"
