"""Pure ASGI middleware that answers unexpected errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.http.problems import internal_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()


class UnexpectedErrors:
    """Middleware that logs unexpected errors once, and answers with an id and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and catch errors that are not handled further in."""
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
