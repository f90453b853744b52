"""An application of one route with the middleware alone."""

import structlog
from fastapi import FastAPI, Request

from gateway.http.middleware.request_context import RequestContext
from gateway.http.middleware.request_metrics import RequestMetrics
from gateway.http.middleware.unexpected_errors import UnexpectedErrors
from gateway.observability.metrics import Metrics
from gateway.observability.tracing import trace_id


def application(metrics: Metrics) -> FastAPI:
    app = FastAPI()

    @app.get("/studies/{study_id}")
    async def study(study_id: str, request: Request) -> dict[str, str]:
        if study_id == "bad":
            raise ValueError("Mustermann^Erika")
        return {
            "bound": str(structlog.contextvars.get_contextvars()),
            "state": str(request.state),
            "trace": str(trace_id()),
        }

    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RequestMetrics, metrics=metrics)
    app.add_middleware(RequestContext)
    return app
