"""Access tokens by OAuth 2.0 client credentials, from the authorization server of a destination.

The client proves itself by a secret, or by a key that it signs with, as SMART has it. Not by a
library: it is one request, and Authlib brings an HTTP client that is not used here.

References
----------
RFC 6749: 2.3.1 (client password), 4.4 (client credentials), 5.1 and 5.2 (answers). RFC 7523:
2.2 and 3 (signed assertion). HL7 *SMART App Launch*: Backend Services, asymmetric clients.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from pydantic import BaseModel, Field, ValidationError

from gateway.errors import DeliveryUnansweredError
from gateway.settings.group import ASCII_WORD_PATTERN

if TYPE_CHECKING:
    from gateway.schemas.routing_destinations import ClientCredentials

# A token that ends sooner would not outlive the request that it is for.
_MARGIN_S = 30.0
# SMART: five minutes at most.
_ASSERTION_S = 240
_MOST_BYTES = 64 * 1024
# A TypeError says that the key is encrypted.
_UNUSABLE = (OSError, ValueError, TypeError, UnsupportedAlgorithm, JoseError)
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class _Granted(BaseModel):
    access_token: str = Field(min_length=1, pattern=ASCII_WORD_PATTERN)
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
        try:
            headers, proof = await asyncio.to_thread(_proof, self._credentials)
        except _UNUSABLE as error:
            reason = "the file of the client's secret or key cannot be used"
            raise DeliveryUnansweredError(reason) from error
        async with session.post(
            self._credentials.token_url,
            data=form | proof,
            headers={"Accept": "application/json"} | headers,
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


def _proof(credentials: ClientCredentials) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header fields and the form's fields that prove who asks.

    Raises
    ------
    OSError, ValueError, TypeError, UnsupportedAlgorithm, JoseError
        The file of the secret or of the key cannot be used.
    """
    if credentials.secret_file is not None:
        secret = credentials.secret_file.read_text().strip()
        # Both are form-encoded before they are joined (RFC 6749, 2.3.1).
        pair = quote_plus(credentials.client_id), quote_plus(secret)
        return {"Authorization": aiohttp.encode_basic_auth(*pair)}, {}
    if credentials.private_key_file is None:
        raise ValueError("the client has neither a secret nor a key")
    return {}, {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": _assertion(credentials, credentials.private_key_file.read_bytes()),
    }


def _assertion(credentials: ClientCredentials, pem: bytes) -> str:
    """Return the token by which the owner of a key asks for another one (RFC 7523, 3)."""
    private_key = load_pem_private_key(pem, password=None)
    is_rsa = isinstance(private_key, RSAPrivateKey)
    key = import_key(pem, "RSA" if is_rsa else "EC")
    algorithm = "RS384" if is_rsa else "ES384"
    kid = {} if credentials.key_id is None else {"kid": credentials.key_id}
    now = int(time.time())
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": credentials.token_url,
        "iat": now,
        "exp": now + _ASSERTION_S,
        "jti": secrets.token_urlsafe(),
    }
    return jwt.encode({"alg": algorithm, **kid}, claims, key, algorithms=[algorithm])
