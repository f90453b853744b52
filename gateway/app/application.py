"""`create_app`: routers, middleware and error handlers put together. Opens nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware

from gateway import __version__, errors
from gateway.app.lifespan import open_gateway
from gateway.console.access import visitor
from gateway.console.application import add_console
from gateway.console.pages import ROOT as CONSOLE
from gateway.dicomweb import retrieve_routes, search_routes
from gateway.dicomweb import routes as dicomweb
from gateway.http import problems
from gateway.http.middleware.audit import AuditedRequests
from gateway.http.middleware.connection_close import DrainingConnections, UnsentBodies
from gateway.http.middleware.head_requests import HeadRequests
from gateway.http.middleware.request_context import RequestContext
from gateway.http.middleware.request_metrics import RequestMetrics
from gateway.http.middleware.security_headers import SecurityHeaders
from gateway.http.middleware.unexpected_errors import UnexpectedErrors
from gateway.http.requests.access import caller_of
from gateway.http.routes import (
    acceptances,
    deliveries,
    destinations,
    documentation,
    events,
    feedback,
    health,
    model_health,
    models,
    parked,
    reports,
    rules,
    studies,
    study_search,
)
from gateway.observability.metrics import Metrics, process_registry
from gateway.observability.otlp import Tracing
from gateway.runtime.health import Health
from gateway.schemas.acceptance import AcceptanceRequest
from gateway.schemas.events import S3Event
from gateway.schemas.feedback import FeedbackRequest
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from fastapi import Request
    from opentelemetry.trace import Tracer

    from gateway.access.callers import Caller
    from gateway.app.lifespan.context import WorkerPlace
    from gateway.app.tls import ServedCertificate
    from gateway.http.dependencies import Gateway
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost

    Lifespan = Callable[[FastAPI], AbstractAsyncContextManager["State"]]

# Errors that any route may answer with that asks for credentials.
_REFUSALS = (
    errors.CredentialsMissingError,
    errors.CredentialsAmbiguousError,
    errors.CredentialsInvalidError,
    errors.ScopeMissingError,
    errors.TenancyError,
    errors.ForeignOriginError,
    errors.IssuerUnavailableError,
    errors.AuditUnavailableError,
)

_DESCRIPTION = """
Send radiographs, get stored and explainable findings.

* **Send** images with their metadata to `POST /v1/studies`; the answer is the result.
* **Read** it again at `GET /v1/studies/{study_id}`, with a heat map for every image.
* **Repeat** freely: an image is known by its bytes; each model version processes it once.

Errors are problem details (RFC 9457): `type` names the kind, `errors` lists all there is to mend.
"""


class State(TypedDict):
    """The state that the lifespan hands to every request."""

    gateway: Gateway


def create_app(
    settings: Settings,
    health_state: Health | None = None,
    metrics: Metrics | None = None,
    *,
    certificate: ServedCertificate | None = None,
    triton_host: TritonHost | None = None,
    worker: WorkerPlace | None = None,
) -> FastAPI:
    """Return the ASGI application.

    Parameters
    ----------
    settings
        Read by nothing else afterwards.
    health_state
        The server's say in readiness, where a server drains the application.
    metrics
        Made before the application, where something before it has metrics too.
    certificate
        The server's certificate, where it speaks TLS; followed while the application runs.
    triton_host
        The supervisor of Triton's process, where it can be started anew from here.
    worker
        The process's place in a gateway of several processes; None where there is one.
    """
    process_metrics = metrics or Metrics(process_registry())
    process_health = health_state or Health()
    tracing = Tracing(settings.tracing)

    opened = partial(
        open_gateway,
        settings,
        process_metrics,
        process_health,
        tracing.tracer,
        certificate=certificate,
        triton_host=triton_host,
        worker=worker,
    )
    app = _bare_app(settings, _lifespan(opened, tracing, process_health))
    problems.install(app, docs=f"{settings.http.path_prefix}/docs")
    for routes in (
        *(
            studies,
            reports,
            deliveries,
            feedback,
            study_search,
            dicomweb,
            retrieve_routes,
            search_routes,
        ),
        *(destinations, rules, events, parked, models, acceptances, model_health),
        *(health, documentation),
    ):
        app.include_router(routes.router)
    app.state.caller_of = _caller_of
    if settings.console.enabled:
        add_console(app, settings.console)
    documentation.mount_assets(app)
    _add_middleware(app, settings, process_metrics, process_health, tracing.tracer)
    _publish_schemas(app)
    return app


async def _caller_of(request: Request, gateway: Gateway) -> Caller:
    """Return the caller of a request: the session's on pages of the console, else the credential's.

    Raises
    ------
    RadStreamError
        There is none.
    """
    route: str = request.scope["route"].path
    if route.startswith(f"{CONSOLE}/"):
        return visitor(request, gateway)
    return await caller_of(request, gateway)


def _bare_app(settings: Settings, lifespan: Lifespan) -> FastAPI:
    """Return an application that has a name and a description, and no routes."""
    return FastAPI(
        title="RadStream",
        version=__version__,
        summary="The gateway between the hospital and its radiology AI models",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        openapi_url=None,  # `gateway.http.routes.documentation` serves it
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.http.path_prefix}] if settings.http.path_prefix else None,
        redirect_slashes=False,  # it would lead to whatever Host the request names
        openapi_tags=[
            {"name": "studies", "description": "Send studies and read their results."},
            {"name": "DICOMweb", "description": "Send, retrieve and search studies."},
            {"name": "drop folder", "description": "Studies as files in a bucket or folder."},
            {"name": "destinations", "description": "Systems that get results."},
            {"name": "rules", "description": "The routing document."},
            {"name": "models", "description": "The models that process the studies."},
            {"name": "operation", "description": "Health and metrics, for machines."},
        ],
    )


def _lifespan(
    opened: Callable[[], AbstractAsyncContextManager[Gateway]], tracing: Tracing, health: Health
) -> Lifespan:
    """Return the opening of a gateway that tells the health of a failed start."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(tracing.exporting())
            try:
                gateway = await stack.enter_async_context(opened())
            except Exception as error:
                health.start_error = error  # for the caller that waits for the start
                raise
            yield {"gateway": gateway}

    return lifespan


def _add_middleware(
    app: FastAPI, settings: Settings, metrics: Metrics, health: Health, tracer: Tracer
) -> None:
    """Add the middleware; the last added is the outermost."""
    app.add_middleware(HeadRequests)
    app.add_middleware(UnexpectedErrors)
    if settings.access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.access.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=[
                *("X-API-Key", "Authorization", "Content-Type", "RadStream-Metadata"),
                *("Prefer", "RadStream-Callback", "Request-Timeout"),
            ],
            expose_headers=[
                *("X-Request-ID", "Retry-After", "Idempotent-Replayed", "Location"),
                *("Preference-Applied", "Warning"),
            ],
        )
    app.add_middleware(AuditedRequests)
    app.add_middleware(RequestMetrics, metrics=metrics)
    app.add_middleware(UnsentBodies)
    app.add_middleware(DrainingConnections, health=health)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestContext, tracer=tracer)


def _tell_of_access(document: dict[str, Any]) -> None:
    """Document the refusals of every operation that asks for a scope."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if "security" not in operation:
                continue
            for status, refusal in problems.documented(*_REFUSALS).items():
                told = operation["responses"].setdefault(str(status), refusal)
                if told is not refusal and PROBLEM_MEDIA_TYPE in told.get("content", {}):
                    problems.add_documented(told, refusal)


def _publish_schemas(app: FastAPI) -> None:
    """Put schemas into the OpenAPI document that no route has as its model.

    Problems are answered by the error handlers, the metadata come as a part of a body, and events
    are read under a limit of their own.
    """
    generate = app.openapi
    _, published = models_json_schema(
        [
            *((Problem, "serialization"), (StudyMetadata, "validation")),
            *((S3Event, "validation"), (FeedbackRequest, "validation")),
            (AcceptanceRequest, "validation"),
        ],
        ref_template="#/components/schemas/{model}",
    )

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"].update(published["$defs"])
        _tell_of_access(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
