"""The models: their states and contracts, and of each its acceptance and agreement."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException

from gateway.console.access import StudyReader
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.errors import UnknownModelError
from gateway.http.dependencies import GatewayDependency
from gateway.http.model_reports import model_details, model_reports
from gateway.schemas.models import MODEL_PATTERN, VERSION_PATTERN

router = APIRouter(prefix=f"{ROOT}/models", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def show_models(
    request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Show every model version in Triton's repository."""
    values = {
        "models": model_reports(gateway),
        "has_rules": gateway.routing.document.has_rules,
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
