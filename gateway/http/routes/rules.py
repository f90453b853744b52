"""The routing document over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency
from gateway.http.requests.access import require
from gateway.routing.in_force import written_form
from gateway.schemas.routing_report import RoutingReport

router = APIRouter(
    prefix="/v1/rules", tags=["rules"], dependencies=[Depends(require(Scope.OPERATE))]
)


@router.get("", summary="Show the routing document in force", response_model_exclude_none=True)
async def show_rules(gateway: GatewayDependency) -> RoutingReport:
    """Return the document, its version, and why its place's present content is not in force."""
    routing = gateway.routing
    return RoutingReport(
        is_set=routing.is_set,
        version=routing.routes.digest,
        since=routing.since,
        fault=routing.fault,
        document=written_form(routing.document),
    )
