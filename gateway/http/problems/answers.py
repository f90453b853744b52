"""The answers that errors get: a status and problem+json (RFC 9457)."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gateway import errors
from gateway.problems import (
    FRAMEWORK,
    UNEXPECTED,
    ProblemKind,
    as_problem,
    kind_of,
    problem_of,
    values_of,
)
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE, Problem
from gateway.schemas.validation_faults import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request


log = structlog.get_logger()


def install(app: FastAPI, *, docs: str = "/docs") -> None:
    """Make the application answer every error with a problem.

    Parameters
    ----------
    docs
        Path of the API's documentation, as callers must ask for it.
    """
    app.add_exception_handler(errors.RadStreamError, _on_radstream_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, partial(_on_http_exception, docs=docs))


def response_of(error: errors.RadStreamError, instance: str | None) -> JSONResponse:
    """Return the answer an error gets."""
    kind = kind_of(error)
    challenge = kind.challenge and kind.challenge.format(**values_of(error))
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    if isinstance(error, errors.QuotaExceededError):
        headers["Retry-After"] = str(error.retry_after_s)
    return _response(kind, problem_of(error, instance), headers)


def internal_error(instance: str | None) -> JSONResponse:
    """Return the answer to an unexpected error: an id to find it by, and nothing else."""
    return _response(UNEXPECTED, as_problem(UNEXPECTED, instance, UNEXPECTED.detail))


def _response(
    kind: ProblemKind, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    retry = {"Retry-After": str(kind.retry_after_s)} if kind.retry_after_s is not None else {}
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=kind.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={**retry, **(headers or {})},
    )


def _instance(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def _on_radstream_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.RadStreamError)  # noqa: S101 - registered for this class alone
    if isinstance(error, errors.StoreUnavailableError):
        log.warning("store.failed", reason=error.reason)
    return response_of(error, _instance(request))


async def _on_invalid_parameters(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    faults = tuple(
        errors.Fault("/".join(str(step) for step in item["loc"]), sentence(item))
        for item in error.errors()
    )
    return response_of(errors.InvalidQueryError(faults), _instance(request))


async def _on_http_exception(request: Request, error: Exception, *, docs: str) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    kind = FRAMEWORK.get(
        error.status_code,
        ProblemKind("malformed-request", error.status_code, "Malformed request", ""),
    )
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_methods(request)))}
    detail = kind.detail.format(docs=docs)
    return _response(kind, as_problem(kind, _instance(request), detail), headers)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes on the request's path; Starlette gives the first's alone."""
    path = request.scope["path"]
    routes = iter_route_contexts(request.app.routes)
    named = [
        route.methods or set()
        for route in routes
        if isinstance(route.original_route, Route) and route.path_regex.match(path)
    ]
    methods = set().union(*named) if named else {"GET"}  # no route of its own: a file
    return methods | {"HEAD"} if "GET" in methods else methods
