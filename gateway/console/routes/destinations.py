"""The destinations of results: how they stand, a check of each, and what is parked for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from gateway.console.access import Operator, check_form
from gateway.console.forms import read_form
from gateway.console.pages import ROOT, page
from gateway.console.parked_items import PAGE, settle_ticked
from gateway.console.problem_pages import PageRoute, problem_name
from gateway.delivery.destination_states import DestinationState
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.destinations import check, states_of
from gateway.schemas.patterns import AFTER_PATTERN, DESTINATION_PATTERN
from gateway.work.keys import destination_of

router = APIRouter(prefix=f"{ROOT}/destinations", include_in_schema=False, route_class=PageRoute)

Name = Annotated[str, Path(pattern=DESTINATION_PATTERN)]


@router.get("")
async def list_destinations(
    request: Request, gateway: GatewayDependency, caller: Operator
) -> Response:
    """Show how each destination stands."""
    values = {
        "states": states_of(gateway),
        "is_set": gateway.routing.is_set,
    }
    return page(request, gateway, "destinations", values, caller=caller)


@router.get("/{name}")
async def show_destination(
    *,
    name: Name,
    request: Request,
    gateway: GatewayDependency,
    caller: Operator,
    after: Annotated[str, Query(pattern=AFTER_PATTERN)] = "",
    done: Annotated[int | None, Query(ge=0, le=PAGE)] = None,
    failed: Annotated[int, Query(ge=0, le=PAGE)] = 0,
) -> Response:
    """Show a destination and what is parked for it."""
    values = await _values(gateway, _state(gateway, name), after)
    outcome = {"done": done, "failed": failed}
    return page(request, gateway, "destination", values | outcome, caller=caller)


@router.post("/{name}/test")
async def test_destination(
    name: Name, request: Request, gateway: GatewayDependency, caller: Operator
) -> Response:
    """Ask the destination something that changes nothing there, and show each step."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    state = _state(gateway, name)
    if state.destination is None:
        raise HTTPException(404)
    steps = await check(gateway, state.destination)
    values = await _values(gateway, state)
    return page(request, gateway, "destination", values | {"steps": steps}, caller=caller)


@router.post("/{name}/retry")
async def retry(
    name: Name, request: Request, gateway: GatewayDependency, _caller: Operator
) -> Response:
    """Try the results again that were ticked."""
    outcome = await settle_ticked(request, gateway, discards=False)
    return RedirectResponse(gateway.links.path(f"{ROOT}/destinations/{name}?{outcome}"), 303)


@router.post("/{name}/discard")
async def discard(
    name: Name, request: Request, gateway: GatewayDependency, _caller: Operator
) -> Response:
    """Forget the results that were ticked."""
    outcome = await settle_ticked(request, gateway, discards=True)
    return RedirectResponse(gateway.links.path(f"{ROOT}/destinations/{name}?{outcome}"), 303)


def _state(gateway: Gateway, name: str) -> DestinationState:
    for state in states_of(gateway):
        if state.name == name:
            return state
    raise HTTPException(404)


async def _values(gateway: Gateway, state: DestinationState, after: str = "") -> dict[str, object]:
    """Return what the page of a destination shows, with no news on it."""
    parked = await gateway.parked.items(
        after=after,
        limit=PAGE,
        wanted=lambda item: item.half is None and destination_of(item.key) == state.name,
    )
    return {
        "state": state,
        "steps": (),
        "parked": parked,
        "following": parked[-1].id if len(parked) == PAGE else None,
        "problem_name": problem_name,
        "done": None,
        "failed": 0,
    }
