"""STOW-RS: store transactions (PS3.18, section 10.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.audit.trail import name_study, note_partial
from gateway.deferred.dicom_store import InstanceOutcome, InstanceSender
from gateway.dicomweb.media_types import DICOM, RELATED, AnswerType, answer_type, boundary_of
from gateway.dicomweb.parts import RelatedParts, WholeBody
from gateway.dicomweb.store_answer import answer_of, encoded, status_of
from gateway.dicomweb.store_transaction import StoreTransaction
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import body_pieces
from gateway.http.requests.preferences import share_of
from gateway.studies.dicom_instance import InstanceUids, is_uid
from gateway.studies.study import Route

if TYPE_CHECKING:
    from gateway.dicomweb.parts import Parts

router = APIRouter(prefix="/dicomweb/studies", tags=["DICOMweb"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {RELATED: _BINARY, DICOM: _BINARY}}
}
_ANSWER = {
    "content": {
        AnswerType.JSON.value: {"schema": {"type": "object"}},
        AnswerType.XML.value: {"schema": {"type": "string"}},
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Every instance is stored.", **_ANSWER},
    202: {"description": "Some instances are stored, others failed.", **_ANSWER},
    409: {"description": "No instance is stored.", **_ANSWER},
    **documented(
        errors.MalformedRequestError,
        errors.NotAcceptableError,
        errors.RequestTooSlowError,
        errors.BodyTooLargeError,
        errors.TooManyPartsError,
        errors.RequestMediaTypeError,
        errors.ContentCodingError,
        errors.OverloadedError,
        errors.StoreError,
        errors.DeadlineExceededError,
    ),
}

# Told, and checked by the route: a path that is no study's is a bad request (PS3.18, 10.5.3).
StudyInstanceUid = Annotated[
    str,
    Path(
        description="Study Instance UID of the instances.",
        json_schema_extra={"pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64},
    ),
]
Writer = Annotated[Caller, Depends(require(Scope.STUDIES_WRITE))]


@router.post(
    "",
    summary="Store DICOM instances",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=_REQUEST_BODY,
)
async def store_instances(request: Request, gateway: GatewayDependency, caller: Writer) -> Response:
    """Store instances of any studies, as `multipart/related` or one as `application/dicom`.

    An instance is stored once it is durable; its study is processed after that, and read at
    `/v1/studies/{StudyInstanceUID}`. One that fails costs no other.
    """
    return await _store(request, gateway, caller, None)


@router.post(
    "/{study_instance_uid}",
    summary="Store DICOM instances of one study",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=_REQUEST_BODY,
)
async def store_instances_of_study(
    study_instance_uid: StudyInstanceUid,
    request: Request,
    gateway: GatewayDependency,
    caller: Writer,
) -> Response:
    """Store instances of one study; those of another fail."""
    if not is_uid(study_instance_uid):
        raise errors.MalformedRequestError("The path does not end in a Study Instance UID.")
    name_study(study_instance_uid)
    return await _store(request, gateway, caller, study_instance_uid)


async def _store(
    request: Request, gateway: Gateway, caller: Caller, study_instance_uid: str | None
) -> Response:
    """Answer a store transaction.

    Raises
    ------
    RadStreamError
        Nothing is stored, and the request as a whole is at fault, or has to come again; or the
        sender went, or sends too slowly.
    """
    media_type = answer_type(request.headers)
    boundary = boundary_of(request.headers)
    limit_bytes = gateway.settings.limits.body_bytes
    if boundary is None and int(request.headers.get("content-length", "0")) > limit_bytes:
        raise errors.BodyTooLargeError(limit_bytes)
    request.state.share = share = share_of(caller, request)
    with gateway.admission.slot(share) as slot:
        slot.check()
    pieces = body_pieces(request, gateway.settings.http)
    parts: Parts = (
        WholeBody(pieces, limit_bytes=limit_bytes)
        if boundary is None
        else RelatedParts(pieces, boundary, limit_bytes=limit_bytes)
    )
    corrects = Scope.STUDIES_CORRECT in caller.scopes
    name = gateway.routing.routes.senders.name_of(caller)
    sender = InstanceSender(Route.STOW, name, share, corrects)
    expected = InstanceUids(study_instance_uid=study_instance_uid)
    transaction = StoreTransaction(gateway.admission, gateway.dicom_store, parts, sender, expected)
    outcomes = await transaction.run()
    for outcome in outcomes:
        gateway.metrics.dicomweb.count(outcome.failure)
    _check_any_taken(outcomes)
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if 0 < failed < len(outcomes):
        note_partial()
    return Response(
        encoded(answer_of(outcomes, gateway.links.path, study_instance_uid), media_type),
        status_code=status_of(outcomes),
        media_type=media_type,
        headers={"Warning": f'299 radstream "{failed} of {len(outcomes)} instances failed"'}
        if failed
        else None,
    )


def _check_any_taken(outcomes: list[InstanceOutcome]) -> None:
    """Raise the error where the same request may go well later, and none of it did now.

    Raises
    ------
    MalformedRequestError
        It brought nothing.
    RadStreamError
        One of `errors.TRANSIENT`.
    """
    if not outcomes:
        raise errors.MalformedRequestError("The multipart body has no part.")
    found = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(found) == len(outcomes) and all(isinstance(error, errors.TRANSIENT) for error in found):
        raise found[0]
