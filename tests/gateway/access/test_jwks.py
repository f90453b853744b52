"""An issuer's keys over HTTP: found by its discovery document, and from nobody else."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import pytest

from gateway.access.tokens import Tokens
from gateway.errors import IssuerUnavailableError
from tests.gateway.access.issuers import Clock, tokens_of
from tests.support.access import Issuer


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.example.org", "jwks_uri": "https://id.example.org/keys"},
        {"jwks_uri": "x"},
        {"issuer": "", "jwks_uri": 7},
        [],
    ],
)
async def test_a_discovery_document_must_be_the_issuers_own(
    discovery: Any, issuer: Issuer, tokens: Tokens
):
    issuer.discovery = discovery or [1]
    with pytest.raises(IssuerUnavailableError):
        await tokens.caller(issuer.token())


@pytest.mark.parametrize(
    "uri", ["http://id.example.org/keys", "file:///etc/passwd", "https://[", 7]
)
async def test_keys_are_fetched_over_https_alone_unless_here(
    uri: Any, issuer: Issuer, tokens: Tokens
):
    issuer.discovery = {"issuer": issuer.url, "jwks_uri": uri}
    with pytest.raises(IssuerUnavailableError):
        await tokens.caller(issuer.token())


@pytest.mark.parametrize("jwks", [b"[]", b"{", b'{"keys":7}', b'{"keys":[]}', b" " * (2**20 + 1)])
async def test_a_key_set_that_cannot_be_read_is_an_issuer_away(
    jwks: bytes, issuer: Issuer, session: aiohttp.ClientSession, clock: Clock
):
    issuer.jwks = jwks
    tokens = tokens_of(issuer, session, clock, jwks_url=f"{issuer.url}/keys")
    with pytest.raises(IssuerUnavailableError):
        await tokens.caller(issuer.token())
    assert issuer.asked == ["/keys"]


async def test_an_issuer_that_sends_a_byte_now_and_then_is_away(
    issuer: Issuer, session: aiohttp.ClientSession, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.access.discovery.TIMEOUT", aiohttp.ClientTimeout(total=0.5))
    sent = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                sent += 1
                await asyncio.sleep(0.02)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tokens = tokens_of(issuer, session, clock, jwks_url=f"http://127.0.0.1:{port}/keys")
        with pytest.raises(IssuerUnavailableError):
            await tokens.caller(issuer.token())
    assert sent > 0
