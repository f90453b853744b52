"""The queue: studies that wait, and parked items with their retry and discard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from gateway.access.callers import Scope
from gateway.audit.trail import name_study
from gateway.console.access import Operator
from gateway.console.live_numbers import LiveNumbers
from gateway.console.pages import ROOT, page
from gateway.console.parked_items import PAGE, settle_ticked
from gateway.console.problem_pages import PageRoute, problem_name
from gateway.http.dependencies import GatewayDependency
from gateway.schemas.patterns import AFTER_PATTERN
from gateway.schemas.result import Status
from gateway.search.query import StudyQuery

router = APIRouter(prefix=f"{ROOT}/queue", include_in_schema=False, route_class=PageRoute)

_PENDING = 20


@router.get("")
async def show_queue(
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Operator,
    after: Annotated[str, Query(pattern=AFTER_PATTERN)] = "",
    done: Annotated[int | None, Query(ge=0, le=PAGE)] = None,
    failed: Annotated[int, Query(ge=0, le=PAGE)] = 0,
) -> Response:
    """Show what waits and what is parked."""
    parked = await gateway.parked.items(after=after, limit=PAGE)
    pending = None
    if Scope.STUDIES_READ in caller.scopes:
        query = StudyQuery(states=(Status.PENDING,))
        pending = (await gateway.search.find(query, limit=_PENDING)).entries
        for entry in pending:
            name_study(entry.study_id)
    # The metric counts the halves of all tenants.
    waiting: int | None = None
    if gateway.tenant is None:
        numbers = LiveNumbers(gateway.metrics, await gateway.collected_metrics())
        waiting = int(numbers.waiting_halves())
    values = {
        "pending": pending,
        "parked": parked,
        "waiting_halves": waiting,
        "after": after,
        "following": parked[-1].id if len(parked) == PAGE else None,
        "done": done,
        "failed": failed,
        "problem_name": problem_name,
    }
    return page(request, gateway, "queue", values, caller=caller)


@router.post("/retry")
async def retry(request: Request, gateway: GatewayDependency, _caller: Operator) -> Response:
    """Try the items again that were ticked."""
    outcome = await settle_ticked(request, gateway, discards=False)
    return RedirectResponse(gateway.links.path(f"{ROOT}/queue?{outcome}"), 303)


@router.post("/discard")
async def discard(request: Request, gateway: GatewayDependency, _caller: Operator) -> Response:
    """Forget the items that were ticked."""
    outcome = await settle_ticked(request, gateway, discards=True)
    return RedirectResponse(gateway.links.path(f"{ROOT}/queue?{outcome}"), 303)
