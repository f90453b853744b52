"""Connections that are opened to see that a peer is there, and closed at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography import x509

if TYPE_CHECKING:
    import ssl

_GOODBYE_S = 1.0


async def peer_certificate(
    host: str, port: int, context: ssl.SSLContext | None, timeout_s: float
) -> x509.Certificate | None:
    """Open a connection and close it; return the certificate that the peer showed.

    Parameters
    ----------
    context
        TLS of the connection; None for none.
    timeout_s
        For the connection and its handshake.

    Returns
    -------
    cryptography.x509.Certificate or None
        None without TLS.

    Raises
    ------
    OSError
        No connection or no handshake; `TimeoutError` and `ssl.SSLError` are of its kind.
    """
    async with asyncio.timeout(timeout_s):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    session = writer.get_extra_info("ssl_object")
    certificate = None if session is None else session.getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await writer.wait_closed()
    # A peer that leaves the goodbye of TLS unanswered would keep the socket.
    writer.transport.abort()
    return None if certificate is None else x509.load_der_x509_certificate(certificate)
