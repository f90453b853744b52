"""Pure ASGI middleware that puts requests on record before they are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit.trail import Act, begin, name_study
from gateway.errors import AuditUnavailableError
from gateway.http import problems
from gateway.schemas.audit import AuditAction, AuditOutcome
from gateway.schemas.metadata import is_study_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.audit.trail import Audit

_ACTIONS = {
    "GET": AuditAction.READ,
    "HEAD": AuditAction.READ,
    "POST": AuditAction.CREATE,
    "DELETE": AuditAction.DELETE,
}
# Of those whose method does not say it.
_OWN_ACTIONS = {
    "/console/queue/discard": AuditAction.DELETE,
    "/console/queue/retry": AuditAction.EXECUTE,
    "/console/destinations/{name}/discard": AuditAction.DELETE,
    "/console/destinations/{name}/retry": AuditAction.EXECUTE,
    "/console/destinations/{name}/test": AuditAction.EXECUTE,
    "/console/rules/compare": AuditAction.READ,
    "/console/rules/explain": AuditAction.READ,
    "/console/studies/{study_id}/deliveries": AuditAction.EXECUTE,
    "/v1/destinations/{name}/test": AuditAction.EXECUTE,
    "/v1/models/{name}/load": AuditAction.EXECUTE,
    "/v1/parked/{parked_id}/retry": AuditAction.EXECUTE,
    "/v1/studies/{study_id}/deliveries": AuditAction.EXECUTE,
}
# They tell of no study; who was refused there goes on record all the same.
_OF_NO_STUDY = {
    *("/metrics", "/v1/models", "/v1/models/{name}/versions/{version}"),
    *("/v1/destinations", "/v1/rules", "/console/models/{name}/{version}"),
    *("/console/models", "/console/send", "/console/live", "/console/live/numbers.json"),
    *("/console/destinations", "/console/rules", "/console/rules/explain"),
}
_REFUSALS = {401, 403}
_FIRST_ERROR = 400


class AuditedRequests:
    """Middleware that holds an answer back until its record is safe; 503 where it cannot be made.

    What asks for a scope is recorded. The answer's first byte leaves after the record: nobody sees
    a result of which the trail does not know.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        client = scope.get("client")
        act = state["act"] = Act(
            address=client[0] if client else None, request_id=state["request_id"]
        )
        begin(act)
        withheld = False

        async def send_recorded(message: Message) -> None:
            nonlocal withheld
            if message["type"] == "http.response.start":
                try:
                    await _record(state["gateway"].audit, act, scope, message["status"])
                except AuditUnavailableError as error:
                    withheld = True
                    answer = problems.response_of(error, act.request_id)
                    await answer(scope, receive, send)
            if not withheld:
                await send(message)

        await self._app(scope, receive, send_recorded)


async def _record(audit: Audit, act: Act, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    if act.scope is None or (route in _OF_NO_STUDY and status not in _REFUSALS):
        return
    path = scope.get("path_params", {})
    study_id, number = str(path.get("study_id", "")), str(path.get("number", ""))
    if is_study_id(study_id):
        name_study(study_id)
    action = _ACTIONS.get(scope["method"], AuditAction.EXECUTE)
    await audit.record(
        act,
        f"{scope['method']} {route}",
        _OWN_ACTIONS.get(route, action),
        _outcome(status, act),
        status=status,
        image=int(number) if number.isdecimal() and len(number) <= 9 else None,  # noqa: PLR2004 - more are no image's
    )


def _outcome(status: int, act: Act) -> AuditOutcome:
    if status in _REFUSALS:
        return AuditOutcome.REFUSED
    if status >= _FIRST_ERROR:
        return AuditOutcome.FAILED
    return AuditOutcome.PARTIAL if act.partial else AuditOutcome.SUCCESS
