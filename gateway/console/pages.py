"""Pages of the console: templates, their files and their headers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway import __version__
from gateway.access.callers import ANONYMOUS, Caller, Scope
from gateway.console.access import session_of
from gateway.console.languages import COOKIE as LANGUAGE_COOKIE
from gateway.console.languages import LANGUAGES, Language, chosen
from gateway.schemas.metadata import View
from gateway.vocabulary.statements import finding_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from gateway.http.dependencies import Gateway

ROOT = "/console"
# Nothing runs and nothing is drawn that does not come from here in a file of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Forms are known by their origin, which a browser withholds under `no-referrer`.
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}

_SECTIONS = (
    ("studies", Scope.STUDIES_READ),
    ("send", Scope.STUDIES_WRITE),
    ("queue", Scope.OPERATE),
    ("destinations", Scope.OPERATE),
    ("rules", Scope.OPERATE),
    ("models", Scope.STUDIES_READ),
    ("live", Scope.OPERATE),
)


@dataclass(frozen=True, slots=True)
class Assets:
    """The console's style sheet and scripts.

    Parameters
    ----------
    digest
        Of all of them: their path changes with them, so that browsers may keep them.
    contents
        By name.
    """

    digest: str
    contents: Mapping[str, bytes]


@cache
def assets() -> Assets:
    """Return the files that pages name."""
    folder = files("gateway.console") / "static"
    contents = {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}
    text = b"\0".join(name.encode() + b"\0" + contents[name] for name in sorted(contents))
    return Assets(hashlib.sha256(text).hexdigest()[:16], contents)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.console"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["finding_name"] = finding_name
    return environment


def _sections(gateway: Gateway, caller: Caller | None) -> list[str]:
    """Return the sections that a person may see; what tells of all tenants is no tenant's."""
    if caller is None:
        return []
    hidden = {"live"} if gateway.of(caller).tenant is not None else set()
    return [name for name, scope in _SECTIONS if scope in caller.scopes and name not in hidden]


def language_of(request: Request) -> Language:
    """Return the language that a person reads."""
    accepted = request.headers.get("accept-language", "")
    return chosen(request.cookies.get(LANGUAGE_COOKIE), accepted)


def _here(request: Request, gateway: Gateway) -> str:
    """Return the path that shows the same page again."""
    if request.method != "GET":
        return gateway.links.path(ROOT)
    query = f"?{request.url.query}" if request.url.query else ""
    return gateway.links.path(request.url.path) + query


def fragment(
    request: Request, gateway: Gateway, template: str, values: Mapping[str, object]
) -> HTMLResponse:
    """Return a part of a page, for a script of the page to put in its place."""
    language = language_of(request)
    shown = (
        _templates()
        .get_template(f"{template}.html")
        .render(values, t=language.text, language=language, root=gateway.links.path(ROOT))
    )
    return HTMLResponse(shown, headers=HEADERS)


def page(
    request: Request,
    gateway: Gateway,
    template: str,
    values: Mapping[str, object],
    *,
    caller: Caller | None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    template
        Name of the template, without its ending, which is the name of its section too.
    values
        Values that it shows, all of them escaped.
    caller
        The person; None where nobody has signed in.
    """
    language = language_of(request)
    root = gateway.links.path(ROOT)
    session = session_of(request)
    scopes = caller.scopes if caller else frozenset()
    shown = (
        _templates()
        .get_template(f"{template}.html")
        .render(
            values,
            t=language.text,
            language=language,
            languages=LANGUAGES,
            root=root,
            static=f"{root}/static/{assets().digest}",
            here=_here(request, gateway),
            section=template,
            sections=_sections(gateway, caller),
            caller=caller,
            scopes=scopes,
            is_open=caller is ANONYMOUS,
            csrf=session.csrf if session else "",
            version=__version__,
            views=list(View),
        )
    )
    return HTMLResponse(shown, status, headers={**HEADERS, **(headers or {})})
