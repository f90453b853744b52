"""Access to the console: the session's caller, its scopes, and forms that are its own."""

from __future__ import annotations

import hmac
from functools import cache
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request

from gateway.access.callers import ANONYMOUS, Caller, Scope
from gateway.console.sessions import COOKIE, Session, Sessions
from gateway.errors import (
    CredentialsMissingError,
    ForeignOriginError,
    RadStreamError,
    StaleFormError,
)
from gateway.http.dependencies import Gateway, GatewayDependency, Reach, check_reach
from gateway.http.requests.access import is_local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()

CSRF_HEADER = "X-CSRF-Token"


def sessions(request: Request) -> Sessions:
    """Return the encryption of sessions, which the application holds."""
    found: Sessions = request.app.state.console_sessions
    return found


def session_of(request: Request) -> Session | None:
    """Return the session of a request; None without one, or where it has ended."""
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else sessions(request).open(cookie)


def visitor(request: Request, gateway: Gateway) -> Caller:
    """Return the caller of a session, which is looked at once; see `_visitor`."""
    state = request.state
    if not hasattr(state, "visitor"):
        try:
            state.visitor = _visitor(request, gateway)
        except RadStreamError as error:
            state.visitor = error
    if isinstance(state.visitor, RadStreamError):
        raise state.visitor
    caller: Caller = state.visitor
    return caller


def _visitor(request: Request, gateway: Gateway) -> Caller:
    """Return the caller of a session; on loopback without keys there is none, and all may enter.

    Raises
    ------
    CredentialsMissingError, CredentialsInvalidError
        There is no session; it has ended, or its key was revoked.
    ForeignOriginError
    """
    access = gateway.authentication
    if not access.is_asked:
        if not is_local(request):
            raise ForeignOriginError
        return ANONYMOUS
    if COOKIE not in request.cookies:
        raise CredentialsMissingError
    session = session_of(request)
    if session is not None and session.person is not None:
        return access.person_signed_in(session.person)
    return access.session_holder(None if session is None else session.key_id)


@cache
def require(scope: Scope, reach: Reach = Reach.TENANT) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that gives the session's caller, who has this scope within this reach."""

    async def caller(request: Request, gateway: GatewayDependency) -> Caller:
        act = request.state.act
        act.scope = scope
        try:
            act.caller = found = visitor(request, gateway)
            gateway.authentication.check_scope(found, scope)
            check_reach(request, gateway, found, reach)
        except RadStreamError as error:
            log.info("request.refused", error=error.label, scope=scope)
            raise
        return found

    return caller


def check_form(request: Request, gateway: Gateway, token: str | None) -> None:
    """Check that a form, or a script's request, was made by a page of this session.

    Without keys the origin says so, which browsers name in every POST; see `visitor`.

    Raises
    ------
    StaleFormError
    """
    if not gateway.authentication.is_asked:
        return
    session = session_of(request)
    if session is None or not hmac.compare_digest(session.csrf.encode(), (token or "").encode()):
        raise StaleFormError


async def _checked(request: Request, gateway: GatewayDependency) -> None:
    check_form(request, gateway, request.headers.get(CSRF_HEADER))


Scripted = Depends(_checked)
StudyReader = Annotated[Caller, Depends(require(Scope.STUDIES_READ))]
StudyWriter = Annotated[Caller, Depends(require(Scope.STUDIES_WRITE))]
Operator = Annotated[Caller, Depends(require(Scope.OPERATE))]
Watcher = Annotated[Caller, Depends(require(Scope.OPERATE, Reach.ALL))]
