"""Sign-in of people: what ties an answer to its attempt, and what the provider may get wrong."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from gateway.access.callers import Scope
from gateway.access.discovery import Discovery
from gateway.access.identity_provider import LIFETIME_S, IdentityProvider, SignInAttempt
from gateway.access.tokens import Tokens
from gateway.errors import CredentialsInvalidError, IssuerUnavailableError, Refusal
from tests.support.access import Issuer

REDIRECT_URI = "https://radstream.example.org/console/sign-in/callback"
ATTEMPT = SignInAttempt("/console/studies")


@dataclass
class TokenEndpoint:
    """A token endpoint that answers as a test tells it, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    answer: Any = None
    asked: list[tuple[dict[str, str], str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((form, request.headers.get("Authorization", "")))
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def token_endpoint(issuer: Issuer) -> AsyncIterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    app = web.Application()
    app.router.add_post("/token", endpoint.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    issuer.discovery = {
        "issuer": issuer.url,
        "jwks_uri": f"{issuer.url}/keys",
        "authorization_endpoint": f"{issuer.url}/authorize?tenant=1",
        "token_endpoint": endpoint.url,
        "end_session_endpoint": f"{issuer.url}/logout",
    }
    id_token = issuer.token(aud="console", nonce=ATTEMPT.nonce, scope=None)
    endpoint.answer = {"id_token": id_token, "access_token": issuer.token()}
    yield endpoint
    await runner.cleanup()
    issuer.discovery = None


@pytest.fixture
async def provider(issuer: Issuer, tokens: Tokens) -> AsyncIterator[IdentityProvider]:
    async with aiohttp.ClientSession() as session:
        yield IdentityProvider(
            session,
            tokens,
            Discovery(session, issuer.url),
            client_id="console",
            client_secret="a secret: &",  # noqa: S106 - of a test
            redirect_uri=REDIRECT_URI,
            scopes=("studies:read",),
            parameters={"audience": "radstream"},
        )


def answer(**changes: str) -> dict[str, str]:
    return {"code": "c", "state": ATTEMPT.state} | changes


async def refused(provider: IdentityProvider, came: dict[str, str]) -> Refusal:
    with pytest.raises(CredentialsInvalidError) as caught:
        await provider.person(ATTEMPT, came)
    return caught.value.refusal


@pytest.mark.usefixtures("token_endpoint")
async def test_the_address_to_sign_in_at_has_a_challenge_and_no_secret(provider: IdentityProvider):
    url = await provider.authorization_url(ATTEMPT)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    digest = hashlib.sha256(ATTEMPT.verifier.encode()).digest()
    assert query == {
        "tenant": "1",
        "audience": "radstream",
        "response_type": "code",
        "client_id": "console",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid studies:read",
        "state": ATTEMPT.state,
        "nonce": ATTEMPT.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


async def test_a_sign_in_asks_for_the_discovery_document_once(
    provider: IdentityProvider, token_endpoint: TokenEndpoint, issuer: Issuer
):
    await provider.authorization_url(ATTEMPT)
    await provider.person(ATTEMPT, answer())
    assert await provider.sign_out_url() == f"{issuer.url}/logout?client_id=console"
    assert len(token_endpoint.asked) == 1
    asked = [path for path in issuer.asked if path == "/.well-known/openid-configuration"]
    assert len(asked) == 2  # once more by who fetches the keys


async def test_a_person_has_the_scopes_of_the_access_token(
    provider: IdentityProvider, token_endpoint: TokenEndpoint
):
    person = await provider.person(ATTEMPT, answer())
    assert (person.subject, person.scopes) == ("viewer-7", (Scope.STUDIES_READ,))
    assert person.ends_at <= time.time() + LIFETIME_S
    [(form, authorization)] = token_endpoint.asked
    assert form["code_verifier"] == ATTEMPT.verifier
    assert form["redirect_uri"] == REDIRECT_URI
    pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    assert pair == "console:a+secret%3A+%26"


async def test_the_secret_goes_into_the_form_where_the_provider_takes_it_there_alone(
    provider: IdentityProvider, token_endpoint: TokenEndpoint, issuer: Issuer
):
    assert issuer.discovery is not None
    issuer.discovery["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await provider.person(ATTEMPT, answer())
    [(form, authorization)] = token_endpoint.asked
    assert (form["client_secret"], authorization) == ("a secret: &", "")


@pytest.mark.parametrize(
    "came", [{"state": "another"}, {"iss": "https://id.example.org"}, {"state": ""}]
)
async def test_an_answer_to_another_attempt_is_not_taken(
    provider: IdentityProvider, token_endpoint: TokenEndpoint, came: dict[str, str]
):
    assert await refused(provider, answer(**came)) is Refusal.STALE_SIGN_IN
    assert token_endpoint.asked == []


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"nonce": "another"}, Refusal.FOREIGN_TOKEN),
        ({"nonce": None}, Refusal.FOREIGN_TOKEN),
        ({"aud": "another"}, Refusal.FOREIGN_TOKEN),
        ({"aud": ["console", "another"], "azp": "another"}, Refusal.FOREIGN_TOKEN),
        ({"iss": "https://id.example.org"}, Refusal.FOREIGN_TOKEN),
        ({"sub": "somebody-else"}, Refusal.FOREIGN_TOKEN),
        ({"exp": 1}, Refusal.EXPIRED_TOKEN),
    ],
)
async def test_an_id_token_of_another_sign_in_is_refused(
    provider: IdentityProvider,
    token_endpoint: TokenEndpoint,
    issuer: Issuer,
    claims: dict[str, Any],
    refusal: Refusal,
):
    right = {"aud": "console", "nonce": ATTEMPT.nonce, "scope": None}
    token_endpoint.answer["id_token"] = issuer.token(**right | claims)
    assert await refused(provider, answer()) is refusal


@pytest.mark.parametrize("access_token", ["opaque", None])
async def test_an_access_token_that_is_not_for_the_gateway(
    provider: IdentityProvider, token_endpoint: TokenEndpoint, access_token: str | None
):
    token_endpoint.answer["access_token"] = access_token
    assert await refused(provider, answer()) is Refusal.SIGN_IN_REFUSED


async def test_a_provider_that_refuses_or_fails(
    provider: IdentityProvider, token_endpoint: TokenEndpoint
):
    denied = {"state": ATTEMPT.state, "error": "access_denied"}
    assert await refused(provider, denied) is Refusal.SIGN_IN_REFUSED
    token_endpoint.status, token_endpoint.answer = 400, {"error": "invalid_grant"}
    assert await refused(provider, answer()) is Refusal.SIGN_IN_REFUSED
    token_endpoint.status = 503
    with pytest.raises(IssuerUnavailableError):
        await provider.person(ATTEMPT, answer())
    token_endpoint.status, token_endpoint.answer = 200, ["odd"]
    with pytest.raises(IssuerUnavailableError):
        await provider.person(ATTEMPT, answer())


@pytest.mark.usefixtures("token_endpoint")
async def test_the_address_to_sign_out_at(provider: IdentityProvider, issuer: Issuer):
    assert issuer.discovery is not None
    url = issuer.discovery.pop("end_session_endpoint")
    assert await provider.sign_out_url() is None
    issuer.discovery["end_session_endpoint"] = url
    await provider._discovery.fetch()
    assert await provider.sign_out_url() == f"{issuer.url}/logout?client_id=console"
