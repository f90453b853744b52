"""Sign-in of people with an OpenID provider: authorization code and PKCE.

Not by a library: it is two redirects and one request, and Authlib brings an HTTP client and
sessions of its own.

References
----------
OpenID Connect Core 1.0, 3.1 (authorization code flow) and 3.1.3.7 (ID token). RFC 7636 (PKCE).
RFC 9207 (`iss` in the answer). OpenID Connect RP-Initiated Logout 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import structlog

from gateway.access.callers import Scope  # noqa: TC001 - pydantic reads it at run time, in a session
from gateway.access.discovery import TIMEOUT, bounded_body, endpoint
from gateway.errors import CredentialsInvalidError, IssuerUnavailableError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.access.discovery import Discovery
    from gateway.access.tokens import Tokens

log = structlog.get_logger()

# A person is asked for again after so long; at most providers a click, as the browser is known.
LIFETIME_S = 3600
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """A sign-in that was begun in one browser, which keeps it, encrypted, until it comes back.

    Parameters
    ----------
    goal
        Path of the page to go on to.
    state, nonce, verifier
        Tie the provider's answer, its ID token and the request for it to this attempt.
    """

    goal: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


@dataclass(frozen=True, slots=True)
class Person:
    """A person who has signed in with the provider.

    Parameters
    ----------
    subject
        The provider's name for the person (`sub`).
    scopes
        Scopes of the access token.
    ends_at
        Unix time at which the provider is to be asked again.
    """

    subject: str
    scopes: tuple[Scope, ...]
    ends_at: float


class IdentityProvider:
    """The provider, as a client of it that people sign in to.

    Parameters
    ----------
    session
        Asks it, by a proxy where the environment names one.
    tokens
        Proves what it issues.
    discovery
        Of the provider.
    client_id, client_secret
        The client; without a secret it is a public one.
    redirect_uri
        Address that people are sent back to, as the provider knows it.
    scopes
        Scopes to ask for besides `openid`.
    parameters
        Further parameters of the request, such as `audience` or `resource`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        tokens: Tokens,
        discovery: Discovery,
        *,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        scopes: tuple[str, ...],
        parameters: Mapping[str, str],
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._discovery = discovery
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._scopes = scopes
        self._parameters = parameters

    async def authorization_url(self, attempt: SignInAttempt) -> str:
        """Return the address that a person signs in at.

        Raises
        ------
        IssuerUnavailableError
        """
        document = await self._discovery.document()
        challenge = hashlib.sha256(attempt.verifier.encode()).digest()
        query = {
            **self._parameters,
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(("openid", *self._scopes)),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint(document, "authorization_endpoint"), query)

    async def person(self, attempt: SignInAttempt, answer: Mapping[str, str]) -> Person:
        """Return the person whom the provider's answer to an attempt is about.

        Parameters
        ----------
        answer
            Query of the address that the person was sent back to.

        Raises
        ------
        CredentialsInvalidError
            The answer is not to this attempt, or the provider did not sign the person in.
        IssuerUnavailableError
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise CredentialsInvalidError(Refusal.STALE_SIGN_IN)
        if answer.get("iss", self._discovery.issuer) != self._discovery.issuer:
            raise CredentialsInvalidError(Refusal.STALE_SIGN_IN)
        if "code" not in answer:
            raise _refused(answer.get("error"))
        granted = await self._redeemed(answer["code"], attempt)
        subject = await self._tokens.subject(
            str(granted.get("id_token", "")), client_id=self._client_id, nonce=attempt.nonce
        )
        try:
            caller = await self._tokens.caller(str(granted.get("access_token", "")))
        except CredentialsInvalidError as error:
            # Such as an opaque token, or one for the provider's own API.
            log.warning("access.sign_in_refused", reason=f"access token: {error.refusal.name}")
            raise CredentialsInvalidError(Refusal.SIGN_IN_REFUSED) from error
        if caller.name != subject:
            raise CredentialsInvalidError(Refusal.FOREIGN_TOKEN)
        return Person(subject, tuple(sorted(caller.scopes)), time.time() + LIFETIME_S)

    async def sign_out_url(self) -> str | None:
        """Return the address at which a person signs out of the provider, if it has one."""
        try:
            document = await self._discovery.document()
            url = endpoint(document, "end_session_endpoint")
        except IssuerUnavailableError:
            return None
        return _with_query(url, {"client_id": self._client_id})

    async def _redeemed(self, code: str, attempt: SignInAttempt) -> dict[str, Any]:
        document = await self._discovery.document()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers, proof = self._proof(document)
        try:
            async with self._session.post(
                endpoint(document, "token_endpoint"),
                data=form | proof,
                headers={"Accept": "application/json"} | headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                status, body = response.status, await bounded_body(response)
        except (aiohttp.ClientError, OSError) as error:
            raise IssuerUnavailableError(type(error).__name__) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise IssuerUnavailableError(f"its token endpoint answers {status}")
        try:
            granted = json.loads(body)
        except (ValueError, RecursionError):
            granted = None
        if not isinstance(granted, dict):
            raise IssuerUnavailableError("its token endpoint answers no JSON object")
        if status != HTTPStatus.OK:
            raise _refused(granted.get("error"))
        return granted

    def _proof(self, document: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the header fields and the form's fields that say which client asks."""
        if self._client_secret is None:
            return {}, {"client_id": self._client_id}
        methods = document.get("token_endpoint_auth_methods_supported", [_BASIC])
        if isinstance(methods, list) and _BASIC not in methods and _POST in methods:
            return {}, {"client_id": self._client_id, "client_secret": self._client_secret}
        # Both are form-encoded before they are joined (RFC 6749, 2.3.1).
        pair = quote_plus(self._client_id), quote_plus(self._client_secret)
        return {"Authorization": aiohttp.encode_basic_auth(*pair)}, {}


def _refused(code: object) -> CredentialsInvalidError:
    """Return the refusal, after the log has the provider's code for it, such as access_denied."""
    known = isinstance(code, str) and _ERROR_CODE.fullmatch(code)
    log.warning("access.sign_in_refused", reason=code if known else "no code")
    return CredentialsInvalidError(Refusal.SIGN_IN_REFUSED)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
