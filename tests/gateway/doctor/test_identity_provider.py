"""The OpenID provider: its name to the letter, and its keys."""

from collections.abc import Iterator

import pytest

from gateway.doctor.clocks import Clocks
from gateway.doctor.findings import Finding, Outcome, Side
from gateway.doctor.identity_provider import issuer_finding
from gateway.settings import AccessSettings
from tests.support.access import Issuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        issuer.rotate()
        yield issuer


async def found(url: str, **settings: str) -> Finding:
    finding = await issuer_finding(
        AccessSettings(issuer=url, audience="radstream", **settings), Clocks()
    )
    assert finding is not None
    return finding


async def test_without_tokens_there_is_nothing_to_ask():
    assert await issuer_finding(AccessSettings(), Clocks()) is None


async def test_a_provider_with_keys(issuer: Issuer):
    finding = await found(issuer.url)
    assert finding.outcome is Outcome.OK
    assert finding.detail == f"signing keys: {len(issuer.keys)}"
    assert (await found(issuer.url, jwks_url=f"{issuer.url}/keys")).outcome is Outcome.OK


async def test_an_issuer_that_differs_by_a_slash_is_told_to_the_letter(issuer: Issuer):
    finding = await found(f"{issuer.url}/")
    assert (finding.outcome, finding.side) == (Outcome.FAULT, Side.GATEWAY)
    assert finding.change == f"RADSTREAM_ACCESS__ISSUER={issuer.url}"


async def test_an_address_without_a_provider(issuer: Issuer):
    finding = await found(f"{issuer.url}/realms/none")
    assert finding.side is Side.GATEWAY
    assert "is no discovery document" in finding.detail


async def test_keys_that_are_missing_or_cannot_be_had(issuer: Issuer):
    issuer.jwks = b'{"keys": []}'
    assert "no key that may sign" in (await found(issuer.url)).detail
    finding = await found(issuer.url, jwks_url=f"{issuer.url}/none")
    assert "cannot be had: it answers 404" in finding.detail
    assert "RADSTREAM_ACCESS__JWKS_URL" in (finding.change or "")
