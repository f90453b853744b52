"""Sign in, sign out, the language, and the files that pages name."""

from __future__ import annotations

import mimetypes
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from gateway.access.api_keys import key_id
from gateway.access.callers import CallerKind
from gateway.console.access import check_form, sessions
from gateway.console.forms import read_form
from gateway.console.languages import COOKIE as LANGUAGE_COOKIE
from gateway.console.languages import LANGUAGES
from gateway.console.pages import ROOT, assets
from gateway.console.problem_pages import UNAUTHENTICATED, PageRoute, sign_in_page
from gateway.console.sessions import COOKIE, LIFETIME_S, Session
from gateway.http.dependencies import Gateway, GatewayDependency

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
        session = Session(key_id(form["key"].strip()))
        answer.set_cookie(
            COOKIE,
            sessions(request).seal(session),
            max_age=LIFETIME_S,
            path=gateway.links.path(ROOT),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",  # a link in another system's page is to open the study
        )
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, gateway: GatewayDependency) -> Response:
    """End the session."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    answer = RedirectResponse(gateway.links.path(ROOT), 303)
    answer.delete_cookie(COOKIE, path=gateway.links.path(ROOT))
    return answer


@router.post("/language")
async def set_language(request: Request, gateway: GatewayDependency) -> Response:
    """Keep the language that a person chose, and show the same page in it."""
    form = await read_form(request, gateway)
    answer = RedirectResponse(_within(gateway, form.get("next", "")), 303)
    if form.get("language") in LANGUAGES:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            form["language"],
            max_age=_YEAR_S,
            path=gateway.links.path(ROOT),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return answer


@router.get("/static/{digest}/{name}")
async def asset(digest: Annotated[str, Path(pattern="^[0-9a-f]{16}$")], name: str) -> Response:
    """Return a style sheet or script; its path holds its digest, so browsers may keep it."""
    found = assets()
    if digest != found.digest or name not in found.contents:
        raise HTTPException(404)
    return Response(
        found.contents[name],
        media_type=mimetypes.guess_type(name)[0],
        headers={"Cache-Control": f"public, max-age={_YEAR_S}, immutable"},
    )


def _within(gateway: Gateway, path: str) -> str:
    """Return the path, if it is one of the console's, else the way in: no other site is led to."""
    root = gateway.links.path(ROOT)
    if path.startswith(f"{root}/") and "\\" not in path and path.isprintable():
        return path
    return root
