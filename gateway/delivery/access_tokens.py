"""Access tokens by OAuth 2.0 client credentials, from the authorization server of a destination.

Not by a library: it is one request, and Authlib brings an HTTP client that is not used here.

References
----------
RFC 6749: 2.3.1 (client password), 4.4 (client credentials), 5.1 and 5.2 (answers).
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from gateway.errors import DeliveryUnansweredError

if TYPE_CHECKING:
    from gateway.schemas.routing import ClientCredentials

# A token that ends sooner would not outlive the request that it is for.
_MARGIN_S = 30.0
_MOST_BYTES = 64 * 1024
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class _Granted(BaseModel):
    access_token: str = Field(min_length=1, pattern=r"^[!-~]+$")
    expires_in: float = 0


class _Denied(BaseModel):
    error: str


class AccessTokens:
    """The access token of one client, kept until it expires.

    Parameters
    ----------
    credentials
        The client, and where it asks.
    """

    def __init__(self, credentials: ClientCredentials) -> None:
        self._credentials = credentials
        self._token: str | None = None
        self._expires_at = 0.0

    async def token(self, session: aiohttp.ClientSession) -> str:
        """Return a token that is valid by its expiry.

        Raises
        ------
        DeliveryUnansweredError
            There is none.
        """
        if self._token is not None and time.monotonic() < self._expires_at:
            return self._token
        asked_at = time.monotonic()
        granted = await self._ask(session)
        self._token = granted.access_token
        self._expires_at = asked_at + granted.expires_in - _MARGIN_S
        return self._token

    def forget(self, token: str | None) -> None:
        """Forget a token that was refused."""
        if self._token == token:
            self._token = None

    async def _ask(self, session: aiohttp.ClientSession) -> _Granted:
        form = {"grant_type": "client_credentials"}
        if self._credentials.scope is not None:
            form["scope"] = self._credentials.scope
        # Both are form-encoded before they are joined (2.3.1).
        login = aiohttp.encode_basic_auth(
            quote_plus(self._credentials.client_id), quote_plus(await self._secret())
        )
        async with session.post(
            self._credentials.token_url,
            data=form,
            headers={"Authorization": login, "Accept": "application/json"},
            allow_redirects=False,
        ) as response:
            body = await response.content.read(_MOST_BYTES)
            status = response.status
        if status == 200:  # noqa: PLR2004 - RFC 6749, 5.1
            try:
                return _Granted.model_validate_json(body)
            except ValidationError:
                raise DeliveryUnansweredError("its authorization server gave no token") from None
        reason = f"its authorization server answered {status}"
        try:
            code = _Denied.model_validate_json(body).error
        except ValidationError:
            code = ""
        if _ERROR_CODE.fullmatch(code):
            reason += f", {code}"
        raise DeliveryUnansweredError(reason)

    async def _secret(self) -> str:
        try:
            text = await asyncio.to_thread(self._credentials.secret_file.read_text)
        except (OSError, UnicodeDecodeError) as error:
            raise DeliveryUnansweredError("the file of the client secret is unreadable") from error
        return text.strip()
