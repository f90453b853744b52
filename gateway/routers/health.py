"""Liveness, readiness and metrics, for the machines that ask."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.routers.access import require
from gateway.routers.dependencies import GatewayDependency
from gateway.services.callers import Scope

router = APIRouter(tags=["operation"])


@router.get(
    "/livez",
    summary="Is the process alive?",
    response_class=JSONResponse,
    responses={503: {"description": "A part of it has died; only a restart brings it back."}},
)
async def livez(gateway: GatewayDependency) -> JSONResponse:
    """Whether the event loop and the work in the background run; Triton's trouble is not theirs."""
    if gateway.health.failed:
        answer = {"status": "failed", "part": gateway.health.failed}
        return JSONResponse(answer, status_code=503)
    return JSONResponse({"status": "alive"})


@router.get(
    "/readyz",
    summary="Should it get studies?",
    response_class=JSONResponse,
    responses={503: {"description": "Not now; `checks` says why."}},
)
async def readyz(gateway: GatewayDependency) -> JSONResponse:
    """Whether Triton and each of its models answer, and the gateway is whole and staying."""
    answers = await gateway.models.check()
    checks = {
        "draining": gateway.health.draining,
        "failed": gateway.health.failed,
        "triton": answers,
        "models": {
            f"{state.name}/{state.version}": state.state.value for state in gateway.models.states()
        },
    }
    ready = answers and not gateway.health.draining and gateway.health.failed is None
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": checks},
        status_code=200 if ready else 503,
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[Depends(require(Scope.OPERATE))],
)
async def metrics(gateway: GatewayDependency) -> Response:
    """All metrics in Prometheus' text format."""
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)
