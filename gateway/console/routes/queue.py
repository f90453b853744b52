"""The queue: studies that wait, and parked items with their retry and discard."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from gateway import errors
from gateway.access.callers import Scope
from gateway.audit.trail import name_study, note_partial
from gateway.console.access import Operator, check_form
from gateway.console.forms import read_form
from gateway.console.live_numbers import live_numbers
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute, problem_name
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.schemas.parked import PARKED_ID_PATTERN
from gateway.schemas.result import Status
from gateway.search.query import StudyQuery

router = APIRouter(prefix=f"{ROOT}/queue", include_in_schema=False, route_class=PageRoute)

_PARKED_ID = re.compile(PARKED_ID_PATTERN)
_ITEMS = 50
_PENDING = 20


@router.get("")
async def show_queue(
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Operator,
    after: Annotated[str, Query(pattern=r"^[0-9a-f]{0,32}$")] = "",
    done: Annotated[int | None, Query(ge=0, le=_ITEMS)] = None,
    failed: Annotated[int, Query(ge=0, le=_ITEMS)] = 0,
) -> Response:
    """Show what waits and what is parked."""
    parked = await gateway.parked.items(after=after, limit=_ITEMS)
    pending = None
    if Scope.STUDIES_READ in caller.scopes:
        query = StudyQuery(states=(Status.PENDING,))
        pending = (await gateway.search.find(query, limit=_PENDING)).entries
        for entry in pending:
            name_study(entry.study_id)
    values = {
        "pending": pending,
        "parked": parked,
        "waiting_halves": int(live_numbers(gateway.metrics)["waiting"]),
        "after": after,
        "following": parked[-1].id if len(parked) == _ITEMS else None,
        "done": done,
        "failed": failed,
        "problem_name": problem_name,
    }
    return page(request, gateway, "queue", values, caller=caller)


@router.post("/retry")
async def retry(request: Request, gateway: GatewayDependency, _caller: Operator) -> Response:
    """Try the items again that were ticked."""
    return await _each(request, gateway, discards=False)


@router.post("/discard")
async def discard(request: Request, gateway: GatewayDependency, _caller: Operator) -> Response:
    """Forget the items that were ticked."""
    return await _each(request, gateway, discards=True)


async def _each(request: Request, gateway: Gateway, *, discards: bool) -> Response:
    """Do it to each of the form's items; one that fails stays and is counted."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    done = failed = 0
    for parked_id in dict.fromkeys(form.all("item")[:_ITEMS]):
        try:
            if not _PARKED_ID.fullmatch(parked_id):
                raise errors.ParkedItemNotFoundError
            if discards:
                await gateway.parked.discard(parked_id)
            else:
                await gateway.parked.retry(parked_id)
            done += 1
        except errors.RadStreamError:
            failed += 1
    if failed:
        note_partial()
    outcome = f"{ROOT}/queue?done={done}&failed={failed}"
    return RedirectResponse(gateway.links.path(outcome), 303)
