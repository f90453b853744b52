"""An OpenID provider's signing keys over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.access.discovery import endpoint, fetch

if TYPE_CHECKING:
    import aiohttp

    from gateway.access.discovery import Discovery


class JwksEndpoint:
    """The endpoint of a JWK Set (RFC 7517, section 5), by OpenID Connect Discovery unless named.

    Parameters
    ----------
    session
        Asks for it, by a proxy where the environment names one.
    discovery
        Of the provider.
    jwks_url
        URL of the set; None asks the provider's discovery document.
    """

    def __init__(
        self, session: aiohttp.ClientSession, discovery: Discovery, *, jwks_url: str | None
    ) -> None:
        self._session = session
        self._discovery = discovery
        self._jwks_url = jwks_url

    async def fetch(self) -> bytes:
        """See `KeySetSource.fetch`."""
        if self._jwks_url is not None:
            return await fetch(self._session, self._jwks_url)
        document = await self._discovery.fetch()
        return await fetch(self._session, endpoint(document, "jwks_uri"))
