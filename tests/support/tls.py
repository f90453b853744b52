"""TLS in front of a server that speaks none, as a load balancer puts it there."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass
class TlsFront:
    """Relays to `port` once that is set; a connection before that is closed."""

    url: str
    ca_file: Path
    port: int | None = None


@asynccontextmanager
async def tls_front(folder: Path) -> AsyncIterator[TlsFront]:
    """A front on a free port of localhost, under a certificate of the authority in `ca_file`."""
    authority = trustme.CA()
    ca_file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if front.port is None:
            writer.close()
            return
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", front.port)
        await asyncio.gather(_pipe(reader, behind_writer), _pipe(behind_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    async with server:
        front = TlsFront(f"https://localhost:{server.sockets[0].getsockname()[1]}", ca_file)
        yield front


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
