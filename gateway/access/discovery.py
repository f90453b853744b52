"""OpenID Connect Discovery, and requests to the provider: bounded, and with no redirect.

Not PyJWT's client: it blocks, follows redirects, and takes an answer of any size.

References
----------
OpenID Connect Discovery 1.0, sections 3 and 4.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import structlog

from gateway.errors import IssuerUnavailableError
from gateway.runtime.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

KEPT_S = 300.0
"""Seconds for which what an issuer publishes is kept: what it withdrew ends by then."""
TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MOST_BYTES = 2**20
_PIECE_BYTES = 2**16


class Discovery:
    """The provider's discovery document, which is kept; longer while the provider is away.

    Parameters
    ----------
    session
        Asks for it, by a proxy where the environment names one.
    issuer
        URL of the provider.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        issuer: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._session = session
        self._clock = clock
        self._kept: tuple[float, dict[str, Any]] | None = None

    async def document(self) -> dict[str, Any]:
        """Return the document, of five minutes ago at the most unless the provider is away.

        Raises
        ------
        IssuerUnavailableError
            It was never there.
        """
        if self._kept is None:
            return await self.fetch()
        fetched_at, document = self._kept
        if self._clock() - fetched_at < KEPT_S:
            return document
        try:
            return await self.fetch()
        except IssuerUnavailableError as error:
            log.warning("access.discovery_away", reason=error.reason)
            return document

    async def fetch(self) -> dict[str, Any]:
        """Return the document as it is now.

        Raises
        ------
        IssuerUnavailableError
        """
        document = await discovered(self._session, self.issuer)
        self._kept = self._clock(), document
        return document


async def discovered(session: aiohttp.ClientSession, issuer: str) -> dict[str, Any]:
    """Return the provider's discovery document, which is of this issuer.

    Raises
    ------
    IssuerUnavailableError
    """
    data = await fetch(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    try:
        document: dict[str, Any] = json.loads(data)
        named = document["issuer"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IssuerUnavailableError("its discovery document cannot be read") from error
    if named != issuer:  # section 4.3
        raise IssuerUnavailableError("its discovery document is of another issuer")
    return document


def endpoint(document: dict[str, Any], name: str) -> str:
    """Return the address of this name in a discovery document, which is of https.

    Raises
    ------
    IssuerUnavailableError
        There is none, or plain HTTP would carry what must be secret.
    """
    url = document.get(name)
    if not isinstance(url, str) or not _is_safe(url):
        raise IssuerUnavailableError(f"its {name} is not an https address")
    return url


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    """Return the answer to a GET, of at most 1 MiB.

    Raises
    ------
    IssuerUnavailableError
    """
    try:
        # A redirect would move the trust to whoever is named there.
        async with session.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise IssuerUnavailableError(f"it answers {response.status}")
            return await bounded_body(response)
    except (aiohttp.ClientError, OSError) as error:
        raise IssuerUnavailableError(type(error).__name__) from error


async def bounded_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, of at most 1 MiB.

    Raises
    ------
    IssuerUnavailableError
    """
    data = bytearray()
    async for chunk in response.content.iter_chunked(_PIECE_BYTES):
        data += chunk
        if len(data) > _MOST_BYTES:
            raise IssuerUnavailableError(f"it sends more than {_MOST_BYTES} bytes")
    return bytes(data)


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
