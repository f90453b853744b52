"""Pure ASGI middleware that counts and times requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.http.middleware.request_context import method_of, route_of
from gateway.observability.tracing import exemplar

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.observability.metrics import Metrics


class RequestMetrics:
    """Middleware that counts and times every request by its route's template."""

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
                route = route_of(scope)
                self._metrics.http.requests.labels(route, method_of(scope), str(status)).inc()
                self._metrics.http.seconds.labels(route).observe(
                    time.perf_counter() - began, exemplar()
                )
