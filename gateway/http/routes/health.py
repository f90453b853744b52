"""Liveness, readiness and metrics, for the machines that ask."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

from gateway.http.dependencies import GatewayDependency
from gateway.http.requests.access import require_for_metrics

router = APIRouter(tags=["operation"])

_OPENMETRICS = "application/openmetrics-text"


@router.get(
    "/livez",
    summary="Liveness of the process",
    response_class=JSONResponse,
    responses={503: {"description": "A part of it has died; only a restart brings it back."}},
)
async def livez(gateway: GatewayDependency) -> JSONResponse:
    """Report whether the event loop and the background work run; Triton's faults do not count."""
    if gateway.health.failed:
        answer = {"status": "failed", "part": gateway.health.failed}
        return JSONResponse(answer, status_code=503)
    return JSONResponse({"status": "alive"})


@router.get(
    "/readyz",
    summary="Readiness for studies",
    response_class=JSONResponse,
    responses={503: {"description": "Not ready; `checks` names the fault."}},
)
async def readyz(gateway: GatewayDependency) -> JSONResponse:
    """Return readiness: Triton and at least one of its models answer, and the gateway stays up.

    A sick model beside a healthy one shows in `checks` and is alerted on: to take the gateway out
    of service for it would cost the studies of both.
    """
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
    dependencies=[Depends(require_for_metrics)],
)
async def metrics(request: Request, gateway: GatewayDependency) -> Response:
    """Return all metrics: as OpenMetrics with exemplars if accepted, else as Prometheus' text."""
    # prometheus_client's own choice echoes the version asked for, and fails on one that is none.
    form = openmetrics if _OPENMETRICS in request.headers.get("accept", "") else exposition
    collected = await gateway.collected_metrics()
    return Response(form.generate_latest(collected), media_type=form.CONTENT_TYPE_LATEST)
