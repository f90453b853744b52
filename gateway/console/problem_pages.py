"""Problems as pages: for a person, in place of problem details."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from gateway import errors
from gateway.console.access import visitor
from gateway.console.pages import page
from gateway.problems import (
    FRAMEWORK,
    UNEXPECTED,
    URN,
    as_problem,
    kind_of,
    problem_of,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response

    from gateway.access.callers import Caller
    from gateway.http.dependencies import Gateway
    from gateway.problems import ProblemKind
    from gateway.schemas.problem import Problem

log = structlog.get_logger()

UNAUTHENTICATED = (errors.CredentialsMissingError, errors.CredentialsInvalidError)


class PageRoute(APIRoute):
    """Route whose errors are pages; who has not signed in is asked to, where the page would be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that answers with pages alone."""
        handle = super().get_route_handler()

        async def handle_with_pages(request: Request) -> Response:
            gateway: Gateway = request.state.gateway
            try:
                return await handle(request)
            except UNAUTHENTICATED as error:
                return sign_in_page(request, gateway, error)
            except errors.RadStreamError as error:
                return problem_page(request, gateway, error)
            except RequestValidationError:
                return problem_page(request, gateway, errors.StudyNotFoundError())
            except HTTPException as error:
                return _not_found(request, gateway, error.status_code)
            except Exception:  # as `UnexpectedErrors` does for the API
                log.exception("request.unexpected_error")
                return _unexpected(request, gateway)

        return handle_with_pages


def sign_in_page(
    request: Request, gateway: Gateway, error: errors.RadStreamError, goal: str | None = None
) -> Response:
    """Return the form to sign in, with the reason why it is asked for.

    Parameters
    ----------
    goal
        Path of the page to go on to; the one that was asked for, if None.
    """
    kind = kind_of(error)
    reason = None
    if isinstance(error, errors.CredentialsInvalidError):
        reason = error.refusal.name.lower()
    return page(
        request,
        gateway,
        "sign_in",
        {
            "reason": reason,
            "goal": goal,
            "takes_keys": gateway.authentication.keys is not None,
            "has_provider": gateway.authentication.provider is not None,
        },
        caller=None,
        status=kind.status,
        headers={"WWW-Authenticate": (kind.challenge or "").format(**values_of(error))},
    )


def problem_page(request: Request, gateway: Gateway, error: errors.RadStreamError) -> Response:
    """Return an error as a page."""
    return _page_of(request, gateway, kind_of(error), problem_of(error, request.state.request_id))


def _unexpected(request: Request, gateway: Gateway) -> Response:
    """Return the answer to an unexpected error: an id to find it by, and nothing else."""
    problem = as_problem(UNEXPECTED, request.state.request_id, UNEXPECTED.detail)
    return _page_of(request, gateway, UNEXPECTED, problem)


def problem_name(problem_type: str) -> str:
    """Return the name of a problem's kind, by which its title is translated."""
    return problem_type.removeprefix(URN)


def _not_found(request: Request, gateway: Gateway, status: int) -> Response:
    kind = FRAMEWORK.get(status, FRAMEWORK[404])
    return _page_of(request, gateway, replace(kind, status=status), None)


def _page_of(
    request: Request, gateway: Gateway, kind: ProblemKind, problem: Problem | None
) -> Response:
    retry = {"Retry-After": str(kind.retry_after_s)} if kind.retry_after_s is not None else None
    return page(
        request,
        gateway,
        "problem",
        {"kind": kind.name, "problem": problem},
        caller=_visitor(request, gateway),
        status=kind.status,
        headers=retry,
    )


def _visitor(request: Request, gateway: Gateway) -> Caller | None:
    try:
        return visitor(request, gateway)
    except errors.RadStreamError:
        return None
