"""Sign in, sign out, the language, and the files that pages name."""

from __future__ import annotations

import mimetypes
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from gateway.access.api_keys import key_id
from gateway.access.callers import CallerKind
from gateway.access.identity_provider import SignInAttempt
from gateway.console.access import check_form, session_of, sessions
from gateway.console.forms import read_form
from gateway.console.languages import COOKIE as LANGUAGE_COOKIE
from gateway.console.languages import LANGUAGES
from gateway.console.pages import ROOT, assets, page
from gateway.console.problem_pages import UNAUTHENTICATED, PageRoute, sign_in_page
from gateway.console.sessions import (
    ATTEMPT_COOKIE,
    ATTEMPT_LIFETIME_S,
    COOKIE,
    LIFETIME_S,
    Session,
)
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.schemas.patterns import DIGEST_PATTERN

router = APIRouter(prefix=ROOT, include_in_schema=False, route_class=PageRoute)

_YEAR_S = 365 * 86400


@router.get("")
async def home(gateway: GatewayDependency) -> Response:
    """Lead a person to the studies."""
    return RedirectResponse(gateway.links.path(f"{ROOT}/studies"), 303)


@router.post("/sign-in")
async def sign_in(request: Request, gateway: GatewayDependency) -> Response:
    """Begin a session with an API key, and go on to the page that was asked for."""
    form = await read_form(request, gateway)
    try:
        caller = await gateway.authentication.caller([form.get("key", "").strip()], [])
    except UNAUTHENTICATED as error:
        return sign_in_page(request, gateway, error, form.get("next"))
    answer = RedirectResponse(_within(gateway, form.get("next", "")), 303)
    if caller.kind is CallerKind.KEY:
        _begin(request, gateway, answer, Session(key_id(form["key"].strip())))
    return answer


@router.get("/sign-in/provider")
async def sign_in_with_provider(
    request: Request, gateway: GatewayDependency, goal: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Lead a person to the OpenID provider.

    By a link and no form: the page's policy lets forms lead to the console alone.
    """
    provider = gateway.authentication.provider
    if provider is None:
        raise HTTPException(404)
    attempt = SignInAttempt(_within(gateway, goal))
    answer = RedirectResponse(await provider.authorization_url(attempt), 303)
    _set_cookie(
        *(request, gateway, answer),
        name=ATTEMPT_COOKIE,
        value=sessions(request).seal_attempt(attempt),
        max_age=ATTEMPT_LIFETIME_S,
    )
    return answer


@router.get("/sign-in/callback")
async def come_back(request: Request, gateway: GatewayDependency) -> Response:
    """Begin the session of a person whom the provider has signed in."""
    sealed = request.cookies.get(ATTEMPT_COOKIE, "")
    attempt = sessions(request).open_attempt(sealed)
    answer: Response
    try:
        person = await gateway.authentication.person(attempt, request.query_params)
    except UNAUTHENTICATED as error:
        answer = sign_in_page(request, gateway, error, attempt.goal if attempt else ROOT)
    else:
        answer = RedirectResponse(attempt.goal if attempt else gateway.links.path(ROOT), 303)
        _begin(request, gateway, answer, Session(person=person))
    # What an attempt is tied to is good for one answer.
    answer.delete_cookie(ATTEMPT_COOKIE, path=gateway.links.path(ROOT))
    return answer


@router.get("/signed-out")
async def signed_out(request: Request, gateway: GatewayDependency) -> Response:
    """Tell a person whom the provider has signed in that it may still know the browser."""
    provider = gateway.authentication.provider
    url = None if provider is None else await provider.sign_out_url()
    return page(request, gateway, "signed_out", {"provider_url": url}, caller=None)


@router.post("/sign-out")
async def sign_out(request: Request, gateway: GatewayDependency) -> Response:
    """End the session."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    session = session_of(request)
    is_known = session is not None and session.person is not None
    goal = f"{ROOT}/signed-out" if is_known else ROOT
    answer = RedirectResponse(gateway.links.path(goal), 303)
    answer.delete_cookie(COOKIE, path=gateway.links.path(ROOT))
    return answer


@router.post("/language")
async def set_language(request: Request, gateway: GatewayDependency) -> Response:
    """Keep the language that a person chose, and show the same page in it."""
    form = await read_form(request, gateway)
    answer = RedirectResponse(_within(gateway, form.get("next", "")), 303)
    if form.get("language") in LANGUAGES:
        _set_cookie(
            *(request, gateway, answer),
            name=LANGUAGE_COOKIE,
            value=form["language"],
            max_age=_YEAR_S,
        )
    return answer


@router.get("/static/{digest}/{name}")
async def asset(digest: Annotated[str, Path(pattern=DIGEST_PATTERN)], name: str) -> Response:
    """Return a style sheet or script; its path holds its digest, so browsers may keep it."""
    found = assets()
    if digest != found.digest or name not in found.contents:
        raise HTTPException(404)
    return Response(
        found.contents[name],
        media_type=mimetypes.guess_type(name)[0],
        headers={"Cache-Control": f"public, max-age={_YEAR_S}, immutable"},
    )


def _begin(request: Request, gateway: Gateway, answer: Response, session: Session) -> None:
    sealed = sessions(request).seal(session)
    _set_cookie(request, gateway, answer, name=COOKIE, value=sealed, max_age=LIFETIME_S)


def _set_cookie(
    request: Request, gateway: Gateway, answer: Response, *, name: str, value: str, max_age: int
) -> None:
    """Set a cookie of the console's own pages, which no script reads."""
    answer.set_cookie(
        name,
        value,
        max_age=max_age,
        path=gateway.links.path(ROOT),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",  # a link in another system's page is to open the study
    )


def _within(gateway: Gateway, path: str) -> str:
    """Return the path, if it is one of the console's, else the way in: no other site is led to."""
    root = gateway.links.path(ROOT)
    if path.startswith(f"{root}/") and "\\" not in path and path.isprintable():
        return path
    return root
