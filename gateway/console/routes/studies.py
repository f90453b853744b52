"""The list of studies, and the page of one."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from gateway import errors
from gateway.audit.trail import name_study
from gateway.console.access import StudyReader
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.console.study_query import AskedStudies, FoundStudies, asked_studies, find_studies
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.schemas.result import Status

router = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def list_studies(
    request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Show the newest studies, or those that are searched for."""
    faults: tuple[errors.Fault, ...] = ()
    asked, found = AskedStudies(), FoundStudies((), (), None, None)
    try:
        asked = asked_studies(request.query_params)
        found = await find_studies(gateway.search, asked)
    except errors.InvalidQueryError as error:
        faults = error.faults
    for entry in found.entries:
        name_study(entry.study_id)
    for study_id in found.unreadable:
        name_study(study_id)
    values = {
        "asked": asked,
        "found": found,
        "faults": faults,
        "states": list(Status),
        "labels": _labels(gateway),
    }
    status = 422 if faults else 200
    return page(request, gateway, "studies", values, caller=caller, status=status)


def _labels(gateway: Gateway) -> list[str]:
    """Return the labels that the models know."""
    contracts = (state.served.contract for state in gateway.models.states() if state.served)
    return sorted({label.label for contract in contracts for label in contract.output.labels})
