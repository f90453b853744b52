"""An OpenID provider's signing keys over HTTP.

Not PyJWT's client: it blocks, follows redirects, and takes an answer of any size.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from gateway.errors import IssuerUnavailableError
from gateway.runtime.addresses import is_loopback

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MOST_BYTES = 2**20
_PIECE_BYTES = 2**16


class JwksEndpoint:
    """The endpoint of a JWK Set (RFC 7517, section 5), by OpenID Connect Discovery unless named.

    Parameters
    ----------
    session
        Asks for it, by a proxy where the environment names one.
    issuer
        URL of the provider.
    jwks_url
        URL of the set; None asks the provider's discovery document.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, issuer: str, jwks_url: str | None
    ) -> None:
        self._session = session
        self._issuer = issuer
        self._jwks_url = jwks_url

    async def fetch(self) -> bytes:
        """See `KeySetSource.fetch`."""
        return await self._get(self._jwks_url or await self._discovered())

    async def _discovered(self) -> str:
        data = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            document = json.loads(data)
            issuer, url = document["issuer"], document["jwks_uri"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise IssuerUnavailableError("its discovery document cannot be read") from error
        if issuer != self._issuer:  # OpenID Connect Discovery 1.0, section 4.3
            raise IssuerUnavailableError("its discovery document is of another issuer")
        if not isinstance(url, str) or not _is_safe(url):
            raise IssuerUnavailableError("its keys are not at an https address")
        return url

    async def _get(self, url: str) -> bytes:
        data = bytearray()
        try:
            # A redirect would move the trust to whoever is named there.
            async with self._session.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
                if response.status != HTTPStatus.OK:
                    raise IssuerUnavailableError(f"it answers {response.status}")
                async for chunk in response.content.iter_chunked(_PIECE_BYTES):
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise IssuerUnavailableError(f"it sends more than {_MOST_BYTES} bytes")
        except (aiohttp.ClientError, OSError) as error:
            raise IssuerUnavailableError(type(error).__name__) from error
        return bytes(data)


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
