"""A receiver of callbacks: an HTTPS server that answers as a test tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import trustme
from aiohttp import web

from tests.support.gateway import until

LATE, LOST = 0, 1
"""In place of a status: 204 once the caller has hung up, and the end of the connection."""


@dataclass
class Receiver:
    """Requests that came, and the answers to them.

    Attributes
    ----------
    statuses
        Answered in turn, then 204 for ever.
    location
        Of every answer with 3xx.
    taken
        Bodies of the requests that it did not refuse, whatever became of the answer.
    """

    url: str = ""
    ca_file: Path = Path()
    context: SSLContext = field(default_factory=lambda: SSLContext(PROTOCOL_TLS_SERVER))
    statuses: list[int] = field(default_factory=list)
    location: str = "/elsewhere"
    body: bytes = b""
    came: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    _runner: web.AppRunner | None = None
    _port: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.came.append((request.path, headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 300:
            self.taken.append(body)
        if status == LOST and request.transport is not None:
            request.transport.abort()
        if status in {LATE, LOST}:
            await until(lambda: request.transport is None)
            status = 204
        moved = {"Location": self.location} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=moved, body=self.body or None)

    async def start(self) -> None:
        """Take connections, on the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self.context).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"https://localhost:{self._port}"

    async def stop(self) -> None:
        """Close all connections and refuse new ones."""
        assert self._runner is not None
        await self._runner.cleanup()


@asynccontextmanager
async def receiving(folder: Path, *names: str) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback, under a certificate for `localhost` or these names."""
    authority = trustme.CA()
    receiver = Receiver(ca_file=folder / "authority.pem")
    authority.cert_pem.write_to_path(str(receiver.ca_file))
    authority.issue_cert(*(names or ("localhost",))).configure_cert(receiver.context)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
