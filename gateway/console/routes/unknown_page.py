"""The answer to every path of the console that is no page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from gateway.console.pages import ROOT
from gateway.console.problem_pages import PageRoute

router = APIRouter(prefix=ROOT, include_in_schema=False, route_class=PageRoute)


@router.get("/{path:path}")
async def unknown_page(path: str) -> None:
    """Say that there is no such page."""
    del path
    raise HTTPException(404)
