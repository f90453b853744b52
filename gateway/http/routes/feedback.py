"""Feedback on studies over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.http.dependencies import GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import read_body
from gateway.http.requests.preferences import REQUEST_TIMEOUT, deadline_of, share_of
from gateway.results.judgements import keep_feedback
from gateway.schemas.feedback import StudyFeedback, parse_feedback
from gateway.schemas.patterns import STUDY_ID_PATTERN

router = APIRouter(prefix="/v1/studies", tags=["studies"])

_BODY_BYTES = 4096

_FEEDBACK: dict[str, Any] = {
    "parameters": [REQUEST_TIMEOUT],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/FeedbackRequest"}}
        },
    },
}


@router.post(
    "/{study_id}/feedback",
    summary="Judge a finding of a study",
    responses=documented(
        errors.StudyNotFoundError,
        errors.StudyDeletedError,
        errors.StudyBeingDeletedError,
        errors.BodyTooLargeError,
        errors.ContentCodingError,
        errors.InvalidFeedbackError,
        errors.InvalidQueryError,
        errors.OverloadedError,
        errors.RequestTooSlowError,
        errors.StoreError,
        errors.UnreadableDocumentError,
        errors.DeadlineExceededError,
    ),
    openapi_extra=_FEEDBACK,
)
async def give_feedback(
    study_id: Annotated[str, Path(pattern=STUDY_ID_PATTERN, description="The study's study_id.")],
    request: Request,
    gateway: GatewayDependency,
    caller: Annotated[Caller, Depends(require(Scope.STUDIES_FEEDBACK))],
) -> StudyFeedback:
    """Keep a judgement on a finding of the study, and return all that are kept of it.

    A later judgement of the same author on the same label takes the place of the earlier one.
    """
    http = gateway.settings.http
    with gateway.admission.slot(share_of(caller, request)) as slot:
        deadline = deadline_of(request, http.request_timeout_s)
        body = await read_body(request, _BODY_BYTES, slot=slot, deadline=deadline, pace=http)
    sent = parse_feedback(body)
    record = await keep_feedback(
        *(study_id, sent, caller.name),
        catalog=gateway.catalog,
        results=gateway.results,
        minutes=gateway.minutes,
    )
    return StudyFeedback(feedback=record.feedback)
