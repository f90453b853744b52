"""An issuer of tokens, and what takes them."""

from collections.abc import Sequence

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from gateway.access.discovery import Discovery
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.jwks import JwksEndpoint
from gateway.access.tokens import Tokens
from gateway.errors import CredentialsInvalidError, Refusal
from gateway.observability.metrics import Metrics
from tests.support.access import AUDIENCE, Issuer


class Clock:
    """Monotonic seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def tokens_of(
    issuer: Issuer,
    session: aiohttp.ClientSession,
    clock: Clock,
    *,
    jwks_url: str | None = None,
    audience: str | None = AUDIENCE,
    client_ids: Sequence[str] = (),
    scope_prefix: str = "",
) -> Tokens:
    source = JwksEndpoint(session, Discovery(session, issuer.url), jwks_url=jwks_url)
    keys = IssuerKeys(source, Metrics(CollectorRegistry()), clock=clock)
    return Tokens(
        keys,
        issuer=issuer.url,
        audience=audience,
        client_ids=client_ids,
        scope_prefix=scope_prefix,
        leeway_s=60,
    )


async def refusal(tokens: Tokens, token: str) -> Refusal:
    with pytest.raises(CredentialsInvalidError) as caught:
        await tokens.caller(token)
    return caught.value.refusal
