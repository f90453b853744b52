"""Destinations of results over HTTP: how they stand, and a check of one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from gateway import errors
from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency
from gateway.http.destinations import check, states_of
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.schemas.destinations import (
    CheckReport,
    DestinationList,
    DestinationReport,
    DestinationTest,
)
from gateway.schemas.patterns import DESTINATION_PATTERN

router = APIRouter(
    prefix="/v1/destinations",
    tags=["destinations"],
    dependencies=[Depends(require(Scope.OPERATE))],
)


@router.get("", summary="List destinations with their state", response_model_exclude_none=True)
async def list_destinations(gateway: GatewayDependency) -> DestinationList:
    """Return how each destination stands, by the last sweep of the outbox.

    Nothing is asked of the store or of a destination.
    """
    return DestinationList(
        destinations=tuple(
            DestinationReport(
                name=state.name,
                kind=state.destination.kind if state.destination else None,
                address=state.address or None,
                renderings=tuple(state.destination.renderings) if state.destination else (),
                state=state.health,
                waiting=state.waiting,
                oldest_s=state.oldest_s,
                parked=state.parked,
                acknowledged=state.brought,
                failed=state.failed,
            )
            for state in states_of(gateway)
        )
    )


@router.post(
    "/{name}/test",
    summary="Test a destination",
    responses=documented(errors.InvalidQueryError),
)
async def test_destination(
    name: Annotated[str, Path(pattern=DESTINATION_PATTERN, description="Its name.")],
    gateway: GatewayDependency,
) -> DestinationTest:
    """Ask the destination something that changes nothing there, and return each step.

    The steps are the connection, TLS and the answer to a C-ECHO, or what its kind has for it; each
    is taken once the one before it went well.
    """
    for destination in gateway.routing.document.destinations:
        if destination.name == name:
            steps = await check(gateway, destination)
            return DestinationTest(
                name=name,
                passed=steps[-1].passed,
                steps=tuple(
                    CheckReport(step=each.step, passed=each.passed, detail=each.detail)
                    for each in steps
                ),
            )
    raise errors.InvalidQueryError((errors.Fault("/name", "no destination has this name"),))
