"""Access tokens from an authorization server, and what it may answer instead."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.delivery.access_tokens import AccessTokens
from gateway.errors import DeliveryUnansweredError
from gateway.schemas.routing import ClientCredentials
from tests.support.fhir_server import CLIENT, SCOPE, SECRET, running_fhir_server


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
        assert caught.value.reason == "the file of the client secret is unreadable"


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
