"""Connections that fail, each named right."""

import asyncio
import ssl

import pytest
import trustme

from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.doctor.handshake import Address, connect, shake_hands
from tests.gateway.doctor.conftest import ServerUnder
from tests.support.aws import free_port


def at(port: int, host: str = "localhost") -> Address:
    return Address(host, port, "the host line", "the authorities line")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def fault(address: Address, context: ssl.SSLContext | None = None) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await (connect(address) if context is None else shake_hands(address, context))
    return caught.value


async def test_a_certificate_that_is_good_gives_its_end(
    authority: trustme.CA, server_under: ServerUnder
):
    async with server_under() as port:
        assert await shake_hands(at(port), trusting(authority)) is not None


async def test_an_expired_certificate_is_the_peers(
    authority: trustme.CA, server_under: ServerUnder
):
    async with server_under(days=-1) as port:
        error = await fault(at(port), trusting(authority))
    assert (error.side, error.outcome) == (Side.PEER, Outcome.FAULT)
    assert "has expired" in error.detail
    assert "renew" in error.change


async def test_a_certificate_that_ends_soon_is_a_warning(
    authority: trustme.CA, server_under: ServerUnder
):
    async with server_under(days=3.5) as port:
        error = await fault(at(port), trusting(authority))
    assert error.outcome is Outcome.WARNING
    assert "ends in 3 days" in error.detail


async def test_a_wrong_authority_is_ours(server_under: ServerUnder):
    async with server_under() as port:
        error = await fault(at(port), trusting(trustme.CA()))
    assert error.side is Side.GATEWAY
    assert "not signed by an authority" in error.detail
    assert "the authorities line" in error.change


async def test_a_certificate_of_another_name(authority: trustme.CA, server_under: ServerUnder):
    async with server_under("pacs.example.org") as port:
        error = await fault(at(port), trusting(authority))
    assert "is not for this name" in error.detail


async def test_a_peer_without_tls(authority: trustme.CA):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await fault(at(port), trusting(authority))
    assert "speaks no TLS" in error.detail


async def test_a_port_without_a_service_and_a_name_that_is_not_known():
    refused = await fault(at(free_port()))
    assert "nothing listens" in refused.detail
    assert "the host line" in refused.change
    unknown = await fault(at(104, "pacs.invalid"))
    assert unknown.side is Side.GATEWAY
    assert "pacs.invalid is not known" in unknown.detail
