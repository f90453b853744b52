"""An OpenID provider's signing keys over HTTP."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import httpx

from gateway.errors import IssuerUnavailableError
from gateway.runtime.addresses import is_loopback

_TIMEOUT_S = 5.0
_MOST_BYTES = 2**20


class JwksEndpoint:
    """Fetches a JWK Set (RFC 7517, section 5), found by OpenID Connect Discovery 1.0 unless named.

    Parameters
    ----------
    client
        Follows no redirects: they would move the trust to whoever is named there.
    issuer
        URL of the provider.
    jwks_url
        URL of the set; None asks the provider's discovery document.
    """

    def __init__(self, client: httpx.AsyncClient, *, issuer: str, jwks_url: str | None) -> None:
        self._client = client
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
            async with (
                asyncio.timeout(_TIMEOUT_S),  # of the whole: httpx's own begins with every piece
                self._client.stream("GET", url, timeout=None) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise IssuerUnavailableError(f"it answers {response.status_code}")
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise IssuerUnavailableError(f"it sends more than {_MOST_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise IssuerUnavailableError(type(error).__name__) from error
        return bytes(data)


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
