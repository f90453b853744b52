"""The last minutes of this gateway, out of its own metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.console.access import Watcher
from gateway.console.live_numbers import LiveNumbers
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.http.dependencies import GatewayDependency

router = APIRouter(prefix=f"{ROOT}/live", include_in_schema=False, route_class=PageRoute)
numbers = APIRouter(prefix=f"{ROOT}/live", include_in_schema=False)


@router.get("")
async def show_live(request: Request, gateway: GatewayDependency, caller: Watcher) -> Response:
    """Show the page, which asks for its numbers every five seconds while it is looked at."""
    return page(request, gateway, "live", {}, caller=caller)


@numbers.get("/numbers.json")
async def read_numbers(gateway: GatewayDependency, _caller: Watcher) -> dict[str, Any]:
    """Return the numbers of this moment."""
    return LiveNumbers(gateway.metrics, await gateway.collected_metrics()).all()
