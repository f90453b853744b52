"""A receiver of callbacks: an HTTPS server that answers as a test tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import trustme
from aiohttp import web


@dataclass
class Receiver:
    """Requests that came, and the answers to them.

    Attributes
    ----------
    statuses
        Answered in turn, then 204 for ever.
    location
        Of every answer with 3xx.
    """

    url: str = ""
    ca_file: Path = Path()
    statuses: list[int] = field(default_factory=list)
    location: str = "/elsewhere"
    body: bytes = b""
    came: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append((request.path, headers, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        moved = {"Location": self.location} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=moved, body=self.body or None)


@asynccontextmanager
async def receiving(folder: Path, *names: str) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback, under a certificate for `localhost` or these names."""
    authority = trustme.CA()
    receiver = Receiver(ca_file=folder / "authority.pem")
    authority.cert_pem.write_to_path(str(receiver.ca_file))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",))).configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"https://localhost:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
