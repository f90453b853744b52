"""Pure ASGI middleware that answers HEAD wherever GET is answered.

Starlette's routes answer HEAD themselves, FastAPI's do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Middleware that answers HEAD wherever GET is answered, with the same header fields.

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
