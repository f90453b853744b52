"""Discovery documents and addresses in them."""

import aiohttp
import pytest

from gateway.access.discovery import discovered, endpoint
from gateway.errors import IssuerUnavailableError
from tests.support.access import Issuer


async def test_a_document_is_of_the_issuer_asked_for(issuer: Issuer):
    async with aiohttp.ClientSession() as session:
        assert (await discovered(session, issuer.url))["jwks_uri"] == f"{issuer.url}/keys"
        issuer.discovery = {"issuer": "https://id.example.org"}
        with pytest.raises(IssuerUnavailableError, match="of another issuer"):
            await discovered(session, issuer.url)
        with pytest.raises(IssuerUnavailableError, match="answers 404"):
            await discovered(session, f"{issuer.url}/none")


@pytest.mark.parametrize("url", ["http://id.example.org/token", "file:///x", "https://[", 7, None])
def test_an_address_must_be_https_unless_here(url: object):
    with pytest.raises(IssuerUnavailableError, match="token_endpoint"):
        endpoint({"token_endpoint": url}, "token_endpoint")
    assert endpoint({"a": "http://127.0.0.1/a"}, "a") == "http://127.0.0.1/a"
