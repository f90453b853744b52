"""Bytes on a connection to a gateway, as no HTTP library would send them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from tests.support.gateway import LiveGateway


@dataclass
class Connection:
    """One connection and both of its ends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send the bytes, as far as the other end takes them."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """The head and the body of one answer that has a Content-Length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        return head + await self.reader.readexactly(int(lengths[0].partition(b":")[2]))

    async def rest(self) -> bytes:
        """All that comes until the gateway closes."""
        return await self.reader.read()


@asynccontextmanager
async def connected(gateway: LiveGateway) -> AsyncIterator[Connection]:
    """A connection; closed at the end whatever was sent."""
    address = httpx.URL(gateway.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def head(*headers: str, line: str = "POST /v1/studies HTTP/1.1") -> bytes:
    """The head of a request; a POST of a PNG unless told otherwise."""
    lines = [line, "Host: localhost", *headers]
    if not any(header.startswith("Content-Type") for header in headers):
        lines.append("Content-Type: image/png")
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
