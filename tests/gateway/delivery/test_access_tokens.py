"""Access tokens from an authorization server, and what it may answer instead."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.jwk import import_key

from gateway.delivery.access_tokens import AccessTokens
from gateway.errors import DeliveryUnansweredError
from gateway.schemas.routing_destinations import ClientCredentials
from tests.support.fhir_server import CLIENT, SCOPE, SECRET, running_fhir_server


def pem(key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


# Of a curve that is not signed with, and one whose password nobody has.
SMALL = pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption())
LOCKED = pem(ec.generate_private_key(ec.SECP384R1()), BestAvailableEncryption(b"secret"))
UNUSABLE = "the file of the client's secret or key cannot be used"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


def tokens_of(url: str, secret_file: Path, scope: str | None = None) -> AccessTokens:
    """The tokens of a client; the URL of a test speaks no TLS, which the document demands."""
    return AccessTokens(
        ClientCredentials.model_construct(
            token_url=url, client_id=CLIENT, secret_file=secret_file, scope=scope
        )
    )


@pytest.mark.parametrize(("lifetime_s", "asked"), [(3600, 1), (31, 1), (30, 2), (0, 2)])
async def test_a_token_is_asked_anew_once_it_is_about_to_expire(
    session: aiohttp.ClientSession, secret_file: Path, lifetime_s: float, asked: int
):
    async with running_fhir_server() as server:
        server.lifetime_s = lifetime_s
        tokens = tokens_of(server.token_url, secret_file, scope=SCOPE)
        found = [await tokens.token(session) for _ in range(2)]
        assert found[-1] == server.tokens[-1]
        assert len(server.tokens) == asked


async def test_a_secret_is_read_for_each_token(session: aiohttp.ClientSession, secret_file: Path):
    async with running_fhir_server() as server:
        tokens = tokens_of(server.token_url, secret_file, scope=SCOPE)
        secret_file.write_text("old")
        with pytest.raises(DeliveryUnansweredError) as caught:
            await tokens.token(session)
        assert caught.value.reason == "its authorization server answered 401, invalid_client"
        secret_file.write_text(SECRET)
        assert await tokens.token(session) == server.tokens[-1]
        tokens.forget("another")
        assert await tokens.token(session) == server.tokens[0]
        tokens.forget(server.tokens[0])
        secret_file.unlink()
        with pytest.raises(DeliveryUnansweredError) as caught:
            await tokens.token(session)
        assert caught.value.reason == UNUSABLE


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "{}", "its authorization server gave no token"),
        (200, "<html>", "its authorization server gave no token"),
        (200, '{"access_token": "a b"}', "its authorization server gave no token"),
        (400, '{"error": "No such secret: s3"}', "its authorization server answered 400"),
        (503, "", "its authorization server answered 503"),
        (302, "", "its authorization server answered 302"),
    ],
)
async def test_an_answer_without_a_token_is_told_by_its_codes_alone(
    session: aiohttp.ClientSession, secret_file: Path, status: int, body: str, reason: str
):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_post("/token", answer)
    async with TestServer(application) as server:
        url = str(server.make_url("/token"))
        with pytest.raises(DeliveryUnansweredError) as caught:
            await tokens_of(url, secret_file).token(session)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("private_key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS384"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
    ],
)
async def test_a_client_that_has_a_key_signs_for_its_token(
    session: aiohttp.ClientSession,
    tmp_path: Path,
    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    algorithm: str,
):
    forms = []

    async def answer(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        forms.append(await request.post())
        return web.json_response({"access_token": "t", "expires_in": 0})

    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(private_key.private_bytes(*form))
    application = web.Application()
    application.router.add_post("/token", answer)
    async with TestServer(application) as server:
        url = str(server.make_url("/token"))
        tokens = signing(url, key_file)
        assert [await tokens.token(session) for _ in range(2)] == ["t", "t"]
    public = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = import_key(public, "RSA" if algorithm == "RS384" else "EC")
    identifiers = set()
    for form in forms:
        assert form["client_assertion_type"].endswith(":jwt-bearer")
        token = jwt.decode(form["client_assertion"], key, algorithms=[algorithm])
        assert token.header["kid"] == "k1"
        assert (token.claims["iss"], token.claims["sub"]) == (CLIENT, CLIENT)
        assert token.claims["aud"] == url
        assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
        identifiers.add(token.claims["jti"])
    assert len(identifiers) == 2


@pytest.mark.parametrize("text", ["", "no key", SMALL, LOCKED])
async def test_a_key_that_cannot_sign_is_for_a_person_to_mend(
    session: aiohttp.ClientSession, tmp_path: Path, text: str
):
    key_file = tmp_path / "key.pem"
    key_file.write_text(text)
    with pytest.raises(DeliveryUnansweredError) as caught:
        await signing("http://127.0.0.1:1/token", key_file).token(session)
    assert caught.value.reason == UNUSABLE


def signing(url: str, key_file: Path) -> AccessTokens:
    """The tokens of a client that signs."""
    return AccessTokens(
        ClientCredentials.model_construct(
            token_url=url, client_id=CLIENT, private_key_file=key_file, key_id="k1"
        )
    )
