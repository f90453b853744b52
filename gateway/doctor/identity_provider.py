"""The OpenID provider whose tokens are taken: its discovery document and its keys."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp

from gateway.access.discovery import Discovery
from gateway.access.issuer_keys import usable_keys
from gateway.access.jwks import JwksEndpoint
from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.doctor.web_peers import address_of, get
from gateway.errors import IssuerUnavailableError
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from gateway.doctor.clocks import Clocks
    from gateway.settings import AccessSettings

_ISSUER = f"{PREFIX}ACCESS{DELIMITER}ISSUER"
_JWKS_URL = f"{PREFIX}ACCESS{DELIMITER}JWKS_URL"
_OK = 200


async def issuer_finding(settings: AccessSettings, clocks: Clocks) -> Finding | None:
    """Return what the provider is like; None where no tokens are taken."""
    if settings.issuer is None:
        return None
    try:
        if settings.jwks_url is None:
            await _check_discovery(settings.issuer, clocks)
        count = await _count_keys(settings)
    except FaultError as error:
        return error.of(Check.IDENTITY, settings.issuer)
    return Finding(Check.IDENTITY, settings.issuer, Outcome.OK, f"signing keys: {count}")


async def _check_discovery(issuer: str, clocks: Clocks) -> None:
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    context = ssl.create_default_context() if url.startswith("https://") else None
    address = address_of(url, _ISSUER, "the system's authorities")
    answer = await get(url, address, clocks, context=context)
    document: Any = None
    if answer.status == _OK:
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
    named = document.get("issuer") if isinstance(document, dict) else None
    if not isinstance(named, str):
        raise FaultError(
            f"{url} answers {answer.status}, and is no discovery document",
            Side.GATEWAY,
            f"{_ISSUER}: the provider's issuer, as its own documents name it",
        )
    if named != issuer:
        raise FaultError(
            f"the provider there is the issuer {named!r}, to the letter",
            Side.GATEWAY,
            f"{_ISSUER}={named}",
        )


async def _count_keys(settings: AccessSettings) -> int:
    try:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
        ) as session:
            discovery = Discovery(session, settings.issuer or "")
            source = JwksEndpoint(session, discovery, jwks_url=settings.jwks_url)
            count = sum(1 for _ in usable_keys(await source.fetch()))
    except IssuerUnavailableError as error:
        line = _JWKS_URL if settings.jwks_url else _ISSUER
        raise FaultError(
            f"its signing keys cannot be had: {error.reason}",
            Side.EITHER,
            f"{line}, or its jwks_uri",
        ) from error
    if not count:
        detail = "its key set has no key that may sign tokens here"
        raise FaultError(detail, Side.PEER, "keys of RSA (2048 bits at least), EC or Ed25519 there")
    return count
