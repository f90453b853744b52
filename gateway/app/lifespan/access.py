"""Opens the authentication of callers, and follows the key file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import structlog

from gateway.access.api_keys import KeyFileError, KeyRing
from gateway.access.authentication import Authentication
from gateway.access.callers import Scope
from gateway.access.discovery import Discovery
from gateway.access.identity_provider import IdentityProvider
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.jwks import JwksEndpoint
from gateway.access.key_file import read_keys
from gateway.access.tokens import Tokens
from gateway.runtime.file_changes import changes

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.app.lifespan.context import LifespanContext
    from gateway.observability.metrics import Metrics

log = structlog.get_logger()


async def open_access(context: LifespanContext) -> Authentication:
    """Open the authentication of callers, by API keys, tokens or both.

    Raises
    ------
    KeyFileError
        There is to be a key file, and it cannot be read.
    """
    settings, metrics = context.settings.access, context.metrics
    tokens, provider = await _tokens(context)
    if settings.key_file is None:
        return Authentication(metrics, tokens=tokens, provider=provider)
    try:
        keys = KeyRing(read_keys(settings.key_file))
    except KeyFileError as error:
        log.exception("access.key_file_broken", reason=str(error))
        raise
    authentication = Authentication(metrics, keys=keys, tokens=tokens, provider=provider)
    await context.run("key file", _follow(settings.key_file, authentication, metrics))
    return authentication


async def _tokens(context: LifespanContext) -> tuple[Tokens | None, IdentityProvider | None]:
    settings = context.settings.access
    if settings.issuer is None:
        return None, None
    session = await context.stack.enter_async_context(
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)
    )
    discovery = Discovery(session, settings.issuer)
    source = JwksEndpoint(session, discovery, jwks_url=settings.jwks_url)
    keys = IssuerKeys(source, context.metrics)
    await context.run("issuer keys", keys.refresh_for_ever())
    tokens = Tokens(
        keys,
        issuer=settings.issuer,
        audience=settings.audience,
        client_ids=settings.client_ids,
        scope_prefix=settings.scope_prefix,
        leeway_s=settings.leeway_s,
    )
    return tokens, _provider(context, session, tokens, discovery)


def _provider(
    context: LifespanContext, session: aiohttp.ClientSession, tokens: Tokens, discovery: Discovery
) -> IdentityProvider | None:
    client, prefix = context.settings.console, context.settings.access.scope_prefix
    if client.client_id is None or client.redirect_uri is None:
        return None
    secret = client.client_secret
    return IdentityProvider(
        session,
        tokens,
        discovery,
        client_id=client.client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        redirect_uri=client.redirect_uri,
        scopes=client.provider_scopes or tuple(f"{prefix}{scope}" for scope in Scope),
        parameters=client.provider_parameters,
    )


async def _follow(path: Path, authentication: Authentication, metrics: Metrics) -> None:
    """Take the file's keys whenever it changes; a broken one leaves the last good keys as is."""
    async for _ in changes([path]):
        try:
            keys = KeyRing(read_keys(path))
        except KeyFileError as error:
            metrics.access.key_file_valid.set(0)
            log.exception("access.key_file_broken", reason=str(error))
            continue
        authentication.keys = keys
        metrics.access.key_file_valid.set(1)
        metrics.access.keep_expiries(
            "key:", {f"key:{key_id}": at.timestamp() for key_id, at in keys.expiries().items()}
        )
        log.info("access.keys_read", keys=len(keys))
