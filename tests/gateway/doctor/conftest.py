"""Servers to be examined, and routing documents that name them."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trustme
from aiohttp import web

from gateway.schemas.routing import RoutingDocument

ServerUnder = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_under(authority: trustme.CA) -> ServerUnder:
    """A server of TLS on a port of loopback, that takes connections and says nothing."""

    @asynccontextmanager
    async def server(name: str = "localhost", *, days: float = 300) -> AsyncIterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        authority.issue_cert(name, not_after=until).configure_cert(context)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as listening:
            yield listening.sockets[0].getsockname()[1]

    return server


@asynccontextmanager
async def web_server(*answers: tuple[str, int, object]) -> AsyncIterator[str]:
    """The URL of a server that answers paths with a status and JSON each."""
    app = web.Application()
    for path, status, document in answers:
        app.router.add_get(path, _answering(status, document))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _answering(status: int, document: object) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(document, status=status)

    return answer


def routing_document(*destinations: dict[str, object]) -> RoutingDocument:
    """A routing document of these destinations alone."""
    return RoutingDocument.model_validate(
        {"schema": "radstream.routing/1", "destinations": list(destinations)}
    )
