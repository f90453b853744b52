"""The API's documentation as a page that needs no other server."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import fastapi_offline
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from gateway.http.dependencies import GatewayDependency

if TYPE_CHECKING:
    from fastapi import FastAPI

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RadStream API</title>
<link rel="stylesheet" href="{prefix}/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{prefix}/docs/assets/swagger-ui-bundle.js"></script>
<script src="{prefix}/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "{prefix}/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


# Scripts from here alone and none in the page. Swagger UI draws some icons from data: URLs, and
# sets styles on its elements, which could at worst make the page ugly.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@router.get("/")
async def home(gateway: GatewayDependency) -> RedirectResponse:
    """Lead a person to the console where there is one, else to the documentation."""
    path = "/console" if gateway.settings.console.enabled else "/docs"
    return RedirectResponse(gateway.links.path(path))


@router.get("/docs")
async def docs(gateway: GatewayDependency) -> HTMLResponse:
    """Show Swagger UI over /openapi.json."""
    page = _PAGE.replace("{prefix}", gateway.links.prefix)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start(gateway: GatewayDependency) -> Response:
    """Return the script that starts Swagger UI, in a file: the page has no inline script."""
    script = _START.replace("{prefix}", gateway.links.prefix)
    return Response(script, media_type="text/javascript")


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the API's description, written once: the longest answer that is always the same."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        document = json.dumps(request.app.openapi(), ensure_ascii=False, separators=(",", ":"))
        state.openapi = document.encode()
    return Response(state.openapi, media_type="application/json")


def mount_assets(app: FastAPI) -> None:
    """Serve Swagger UI's own files from the installed package that carries them."""
    folder = Path(str(files(fastapi_offline) / "static"))
    app.mount("/docs/assets", StaticFiles(directory=folder), name="docs-assets")
