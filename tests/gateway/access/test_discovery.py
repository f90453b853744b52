"""Discovery documents and addresses in them."""

import aiohttp
import pytest

from gateway.access.discovery import Discovery, discovered, endpoint
from gateway.errors import IssuerUnavailableError
from tests.gateway.access.issuers import Clock
from tests.support.access import Issuer


async def test_a_document_is_of_the_issuer_asked_for(issuer: Issuer):
    async with aiohttp.ClientSession() as session:
        assert (await discovered(session, issuer.url))["jwks_uri"] == f"{issuer.url}/keys"
        issuer.discovery = {"issuer": "https://id.example.org"}
        with pytest.raises(IssuerUnavailableError, match="of another issuer"):
            await discovered(session, issuer.url)
        with pytest.raises(IssuerUnavailableError, match="answers 404"):
            await discovered(session, f"{issuer.url}/none")


async def test_a_document_is_kept_for_five_minutes_and_longer_while_the_issuer_is_away(
    issuer: Issuer,
):
    clock = Clock()
    async with aiohttp.ClientSession() as session:
        discovery = Discovery(session, issuer.url, clock=clock)
        issuer.is_away = True
        with pytest.raises(IssuerUnavailableError, match="answers 503"):
            await discovery.document()
        issuer.is_away = False
        first = await discovery.document()
        clock.now += 299
        assert await discovery.document() is first
        assert len(issuer.asked) == 2
        clock.now += 1
        issuer.is_away = True
        assert await discovery.document() is first
        issuer.is_away = False
        issuer.discovery = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/others"}
        assert (await discovery.document())["jwks_uri"] == f"{issuer.url}/others"
        assert len(issuer.asked) == 4
        issuer.discovery["jwks_uri"] = f"{issuer.url}/keys"
        assert (await discovery.fetch())["jwks_uri"] == f"{issuer.url}/keys"
        assert (await discovery.document())["jwks_uri"] == f"{issuer.url}/keys"


@pytest.mark.parametrize("url", ["http://id.example.org/token", "file:///x", "https://[", 7, None])
def test_an_address_must_be_https_unless_here(url: object):
    with pytest.raises(IssuerUnavailableError, match="token_endpoint"):
        endpoint({"token_endpoint": url}, "token_endpoint")
    assert endpoint({"a": "http://127.0.0.1/a"}, "a") == "http://127.0.0.1/a"
