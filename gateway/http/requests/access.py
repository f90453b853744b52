"""Access control: the dependency of every route that is not open to all."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from gateway.access.callers import Caller, Scope
from gateway.errors import ForeignOriginError, RadStreamError
from gateway.http.dependencies import Gateway, GatewayDependency, Reach, check_reach
from gateway.runtime.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()

_API_KEY = APIKeyHeader(
    name="X-API-Key",
    scheme_name="apiKey",
    description="A key that the operator made with `radstream keys create`.",
    auto_error=False,
)
_BEARER = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="JWT",
    description="An access token of the OpenID provider that the gateway trusts.",
    auto_error=False,
)
_FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host"}


@cache
def require(scope: Scope, reach: Reach = Reach.TENANT) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that gives the caller, who has this scope within this reach.

    It runs before a body is read. One scope has one dependency, so that a route and its router
    may both name it and the caller is asked once.
    """

    async def caller(
        request: Request,
        gateway: GatewayDependency,
        # Only told of in the API's documentation: both pass over what is not as it should be.
        _api_key: object = Security(_API_KEY, scopes=[scope]),
        _bearer: object = Security(_BEARER, scopes=[scope]),
    ) -> Caller:
        try:
            return await _allowed(request, gateway, scope, reach)
        except RadStreamError as error:
            log.info("request.refused", error=error.label, scope=scope)
            raise

    return caller


async def require_for_metrics(request: Request, gateway: GatewayDependency) -> None:
    """Require the scope of an operator, unless the settings open the metrics to all."""
    if not gateway.settings.access.metrics_open:
        await _allowed(request, gateway, Scope.OPERATE, Reach.ALL)


async def caller_of(request: Request, gateway: Gateway) -> Caller:
    """Return the caller that the request's credential proves, which is looked at once.

    Raises
    ------
    RadStreamError
        See `Authentication.caller`.
    """
    state = request.state
    if not hasattr(state, "identity"):
        keys, tokens = (request.headers.getlist(name) for name in ("x-api-key", "authorization"))
        try:
            state.identity = await gateway.authentication.caller(keys, tokens)
        except RadStreamError as error:
            state.identity = error
    if isinstance(state.identity, RadStreamError):
        raise state.identity
    caller: Caller = state.identity
    return caller


async def _allowed(request: Request, gateway: Gateway, scope: Scope, reach: Reach) -> Caller:
    access = gateway.authentication
    request.state.act.scope = scope
    if not access.is_asked and not is_local(request):
        raise ForeignOriginError
    request.state.act.caller = caller = await caller_of(request, gateway)
    access.check_scope(caller, scope)
    check_reach(request, gateway, caller, reach)
    return caller


def is_local(request: Request) -> bool:
    """Return whether a program on this machine asks for itself: no proxy and no web page.

    A page of any origin can send a form to loopback, and by a name of its own that leads there
    (DNS rebinding) it could read the answer. The names tell.
    """
    headers = request.headers
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:  # such as [:::]
        return False
    origin = headers.get("origin")
    return (
        is_loopback(host)
        and origin in {None, f"{request.scope['scheme']}://{headers.get('host')}"}
        and not _FORWARDED & set(headers.keys())
    )
