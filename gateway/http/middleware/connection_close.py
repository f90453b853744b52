"""Pure ASGI middleware that ends connections with their next answer, where they must not go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.runtime.health import Health


class UnsentBodies:
    """Middleware that ends the connection of a caller that was answered before it sent its body.

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
    """Middleware that ends each connection with its next answer once the process drains.

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
