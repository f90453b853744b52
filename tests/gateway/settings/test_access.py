"""Authentication: what belongs together, and the web pages that may call."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import AccessSettings


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"issuer": "https://id.example.org"}, "needed together"),
        ({"audience": "radstream"}, "needed together"),
        ({"jwks_url": "https://id.example.org/keys"}, "jwks_url needs issuer"),
        ({"issuer": "http://id.example.org", "audience": "radstream"}, "must be https"),
    ],
)
def test_tokens_need_an_issuer_that_can_be_trusted_and_an_audience(
    given: dict[str, Any], reason: str
):
    with pytest.raises(ValidationError, match=reason):
        AccessSettings(**given)


@pytest.mark.parametrize("origin", ["*", "https://viewer.example.org/", "viewer.example.org"])
def test_web_pages_that_may_call_are_named_by_their_origins(origin: str):
    with pytest.raises(ValidationError, match="cors_origins"):
        AccessSettings(cors_origins=(origin,))
    assert AccessSettings(cors_origins=("https://viewer.example.org",)).cors_origins
