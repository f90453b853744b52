"""People sign in with a real OpenID provider (the package oidc-provider), and out again."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.settings import AccessSettings, ConsoleSettings, HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.aws import free_port
from tests.support.gateway import LiveGateway, audit_trail, running_gateway, settings_for

PROVIDER = Path(__file__).parents[1] / "browser" / "provider.mjs"
AUDIENCE = "https://radstream.example.org/api"
SECRET = "a secret, with: signs & blanks"  # noqa: S105 - of a test

pytestmark = pytest.mark.server


@asynccontextmanager
async def running_provider(redirect_uri: str, scopes: str) -> AsyncIterator[str]:
    """The issuer's URL."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(PROVIDER), redirect_uri, scopes), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass(frozen=True)
class Organisation:
    """A gateway, and the provider of the people who use it."""

    gateway: LiveGateway
    issuer: str


@pytest.fixture(scope="module")
async def organisation(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Organisation]:
    port = free_port()
    redirect_uri = f"http://127.0.0.1:{port}/console/sign-in/callback"
    granted = "studies:read"
    async with running_provider(redirect_uri, granted) as issuer:
        settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("provider") / "store")
        settings = settings.model_copy(
            update={
                "http": HttpSettings(port=port),
                "access": AccessSettings(issuer=issuer, audience=AUDIENCE),
                "console": ConsoleSettings(
                    enabled=True,
                    client_id="console",
                    client_secret=SECRET,
                    redirect_uri=redirect_uri,
                    provider_scopes=(granted,),
                    provider_parameters={"resource": AUDIENCE},
                ),
            }
        )
        async with running_gateway(settings) as gateway:
            yield Organisation(gateway, issuer)


@pytest.fixture
async def person(organisation: Organisation) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that follows redirects, without a session."""
    async with httpx.AsyncClient(
        base_url=organisation.gateway.url, timeout=30, trust_env=False, follow_redirects=True
    ) as client:
        yield client


async def test_a_person_comes_to_the_page_that_was_asked_for_with_the_tokens_scopes(
    person: httpx.AsyncClient, organisation: Organisation
):
    asked = await person.get("/console/studies?state=failed")
    assert asked.status_code == 401
    [link] = re.findall(r'href="(/console/sign-in/provider[^"]+)"', asked.text)
    assert 'name="key"' not in asked.text
    page = await person.get(link.replace("&amp;", "&"))
    assert page.status_code == 200, page.text
    assert str(page.url) == f"{organisation.gateway.url}/console/studies?state=failed"
    # The provider granted no scope but one.
    assert (await person.get("/console/queue")).status_code == 403
    cookies = {cookie.name: cookie for cookie in person.cookies.jar}
    assert "radstream_sign_in" not in cookies
    assert cookies["radstream_session"].has_nonstandard_attr("HttpOnly")
    assert "reader-7" not in (cookies["radstream_session"].value or "")
    callers = {record.get("agent", {}).get("name") for record in audit(organisation)}
    assert "reader-7" in callers


def audit(organisation: Organisation) -> list[dict[str, dict[str, str]]]:
    return audit_trail(organisation.gateway.settings)


async def test_signing_out_ends_the_session_and_leads_to_the_providers(
    person: httpx.AsyncClient, organisation: Organisation
):
    page = await person.get("/console/sign-in/provider")
    assert page.status_code == 200, page.text
    [csrf] = re.findall(r'data-csrf="([^"]+)"', page.text)
    out = await person.post("/console/sign-out", data={"csrf": csrf})
    assert out.url.path == "/console/signed-out"
    assert f'href="{organisation.issuer}/session/end?client_id=console"' in out.text
    assert (await person.get("/console/studies")).status_code == 401


async def test_an_answer_counts_once_and_in_the_browser_that_asked(
    person: httpx.AsyncClient, organisation: Organisation
):
    begun = await person.get("/console/sign-in/provider", follow_redirects=False)
    at_provider = begun
    while not at_provider.headers["location"].startswith(organisation.gateway.url):
        location = httpx.URL(organisation.issuer).join(at_provider.headers["location"])
        at_provider = await person.get(location, follow_redirects=False)
    callback = at_provider.headers["location"]
    assert {"code", "state", "iss"} <= parse_qs(urlsplit(callback).query).keys()
    async with httpx.AsyncClient(trust_env=False) as stranger:
        elsewhere = await stranger.get(callback)
    assert elsewhere.status_code == 401
    assert "begun in another browser" in elsewhere.text
    first = await person.get(callback, follow_redirects=False)
    assert first.status_code == 303
    again = await person.get(callback, follow_redirects=False)
    assert again.status_code == 401


async def test_a_gateway_without_a_client_has_no_way_to_the_provider(
    console: LiveGateway,
):
    answer = await console.client.get("/console/sign-in/provider")
    assert answer.status_code == 404
