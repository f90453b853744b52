"""The models: their states and contracts, and of each its acceptance and agreement."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from gateway.console.access import StudyReader, Watcher, check_form
from gateway.console.forms import read_form
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.errors import InvalidQueryError, UnknownModelError
from gateway.http.dependencies import GatewayDependency
from gateway.http.model_reports import model_details, model_reports
from gateway.http.routes.model_health import Name, Version, rearmed
from gateway.schemas.models import HealthAct
from gateway.schemas.patterns import MODEL_PATTERN, VERSION_PATTERN
from gateway.schemas.validation_faults import faults_of

router = APIRouter(prefix=f"{ROOT}/models", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def show_models(
    request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Show every model version in Triton's repository."""
    # Their numbers are of all tenants together.
    healths = gateway.silences.healths if gateway.tenant is None else []
    values = {
        "models": model_reports(gateway),
        "has_rules": gateway.routing.document.has_rules,
        "healths": {(each.model, each.version): each for each in healths},
        "broken": gateway.silences.broken,
    }
    return page(request, gateway, "models", values, caller=caller)


@router.get("/{name}/{version}")
async def show_model(
    name: Annotated[str, Path(pattern=MODEL_PATTERN)],
    version: Annotated[str, Path(pattern=VERSION_PATTERN)],
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
) -> Response:
    """Show a model version: its acceptance, its agreement with others, its contract."""
    try:
        model = await model_details(gateway, name, version)
    except UnknownModelError as error:
        raise HTTPException(404) from error
    values = {"model": model, "has_rules": gateway.routing.document.has_rules}
    return page(request, gateway, "model", values, caller=caller)


@router.post("/{name}/{version}/rearm")
async def rearm_model(
    name: Name, version: Version, request: Request, gateway: GatewayDependency, _caller: Watcher
) -> Response:
    """Let a silent model version be heard again, by name and with a reason."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    try:
        act = HealthAct.model_validate(form)
    except ValidationError as error:
        raise InvalidQueryError(faults_of(error)) from error
    await rearmed(gateway.silences, name, version, act)
    return RedirectResponse(gateway.links.path(f"{ROOT}/models"), 303)
