"""An OpenID provider's signing keys over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.access.discovery import discovered, endpoint, fetch

if TYPE_CHECKING:
    import aiohttp


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
        if self._jwks_url is not None:
            return await fetch(self._session, self._jwks_url)
        document = await discovered(self._session, self._issuer)
        return await fetch(self._session, endpoint(document, "jwks_uri"))
