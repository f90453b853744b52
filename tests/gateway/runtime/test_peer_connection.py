"""A peer's certificate, from a connection that is closed at once."""

import asyncio
import ssl

import pytest
import trustme
from cryptography import x509

from gateway.runtime.peer_connection import peer_certificate


async def test_a_peer_is_asked_nothing_and_its_certificate_is_told():
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    certificate.configure_cert(serving)
    authority.configure_trust(trusting)
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read())
        writer.close()

    for context in (None, serving):
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            told = await peer_certificate("localhost", port, context and trusting, 30.0)
            expected = context and certificate.cert_chain_pems[0].bytes()
            assert told == (x509.load_pem_x509_certificate(expected) if expected else None)
    assert set(came) <= {b""}


async def test_a_port_where_nothing_listens_is_an_error():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await peer_certificate("127.0.0.1", port, None, 30.0)
