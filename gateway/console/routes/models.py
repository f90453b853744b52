"""The models, their states and their contracts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from gateway.console.access import StudyReader
from gateway.console.model_parts import model_parts
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.http.dependencies import GatewayDependency

router = APIRouter(prefix=f"{ROOT}/models", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def show_models(
    request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Show every model version in Triton's repository."""
    document = gateway.routing.document
    values = {
        "states": gateway.models.states(),
        "parts_of_models": model_parts(document, gateway.routing.rolled_back),
        "has_rules": document.has_rules,
    }
    return page(request, gateway, "models", values, caller=caller)
