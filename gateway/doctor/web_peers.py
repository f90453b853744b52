"""Requests to HTTP peers, with their clocks, and what their failures mean."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from gateway.doctor.findings import FaultError, Side
from gateway.doctor.handshake import Address, connect, shake_hands

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from gateway.doctor.clocks import Clocks

_TIMEOUT_S = 10.0
_MOST_BYTES = 2**20
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """Answer of an HTTP peer."""

    status: int
    body: bytes


def address_of(url: str, url_line: str, authorities_line: str) -> Address:
    """Return the address in a URL.

    Raises
    ------
    FaultError
        It has a port that is none.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise FaultError(f"{url} has no valid port", Side.GATEWAY, url_line) from error
    default = _PORTS.get(parts.scheme, 80)
    return Address(parts.hostname or "", port or default, url_line, authorities_line)


async def get(
    url: str,
    address: Address,
    clocks: Clocks,
    *,
    context: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> WebAnswer:
    """Return the answer to a GET, by no proxy and no redirection; note the peer's clock.

    Parameters
    ----------
    context
        TLS; None for a URL of plain HTTP.

    Raises
    ------
    FaultError
        There is none.
    """
    await (connect(address) if context is None else shake_hands(address, context))
    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=True if context is None else context),
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            clocks.see(str(address), response.headers.get("Date"), dt.datetime.now(dt.UTC))
            body = await response.content.read(_MOST_BYTES)
            while len(body) < _MOST_BYTES and not response.content.at_eof():
                body += await response.content.read(_MOST_BYTES - len(body))
            return WebAnswer(response.status, body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FaultError(
            f"{address} takes the connection and gives no HTTP answer ({type(error).__name__})",
            Side.EITHER,
            f"mend {address.host_line}: another service may be on this port",
        ) from error


def check_allowed(answer: WebAnswer, credentials_line: str) -> None:
    """Check that the peer lets the gateway in.

    Raises
    ------
    FaultError
    """
    if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
        raise FaultError(
            f"it answers {answer.status}: the credentials are missing, wrong or not enough",
            Side.EITHER,
            f"{credentials_line}; or grant its rights on the peer",
        )
