"""Studies over HTTP: send, get, delete, and the pictures of their images."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import while_connected
from gateway.http.requests.fhir import FHIR_JSON, fhir_release
from gateway.http.requests.preferences import (
    CALLBACK_HEADER,
    REQUEST_TIMEOUT,
    RESPOND_ASYNC,
    callback_of,
    deadline_of,
    share_of,
    wants_async,
)
from gateway.http.requests.study_request import METADATA_HEADER, read_study_request
from gateway.renderings.fhir import fhir_bundle
from gateway.results.sender_view import accepted_view
from gateway.results.submissions import with_submissions
from gateway.results.view import study_result
from gateway.schemas.patterns import DIGEST_PATTERN, STUDY_ID_PATTERN
from gateway.schemas.result import StudyResult, study_path
from gateway.studies.process import AdmittedStudy, StudySource, Turn
from gateway.studies.study import Route
from preprocess import MediaType

router = APIRouter(prefix="/v1/studies", tags=["studies"])

_OPERATES = [Depends(require(Scope.OPERATE))]
_READS = [Depends(require(Scope.STUDIES_READ))]
Reader = Annotated[Caller, Depends(require(Scope.STUDIES_READ))]

StudyId = Annotated[str, Path(pattern=STUDY_ID_PATTERN, description="The study's study_id.")]
ImageNumber = Annotated[int, Path(ge=1, description="The image's number in the study, from 1.")]
PictureKey = Annotated[
    str | None,
    Query(
        pattern=DIGEST_PATTERN,
        description="Key from the result's link: the very image that was processed, even if its "
        "number has changed.",
    ),
]
FindingLabel = Annotated[
    str | None,
    Query(max_length=64, description="Label of the finding; by default the most probable one."),
]

# The store is asked for each image.
_MOST_EXPLAINED = 100

Explain = Annotated[
    Literal["", "true"] | None,
    Query(
        description="Adds `routing`: for each image, what the rules of the routing document in "
        "force say of it, and why."
    ),
]

_SUBMISSION: dict[str, Any] = {
    "parameters": [
        {
            "name": METADATA_HEADER,
            "in": "header",
            "required": False,
            "description": "Metadata document where the body is one image, in ASCII (other "
            "characters as \\u escapes).",
            "schema": {"type": "string"},
        },
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "description": "With `respond-async` (RFC 7240) the answer is 202 as soon as the study "
            "is stored; it is processed after that.",
            "schema": {"type": "string"},
        },
        {
            "name": CALLBACK_HEADER,
            "in": "header",
            "required": False,
            "description": "With `Prefer: respond-async`: HTTPS URL of the webhook that is called "
            "once the study is processed or has failed. The operator allows its host.",
            "schema": {"type": "string", "format": "uri"},
        },
        REQUEST_TIMEOUT,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "metadata": {"$ref": "#/components/schemas/StudyMetadata"},
                        "image": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "JPEG, PNG or DICOM files, told apart by their bytes.",
                        },
                    },
                },
                "encoding": {"metadata": {"contentType": "application/json"}},
            },
            **{
                media_type.value: {"schema": {"type": "string", "format": "binary"}}
                for media_type in MediaType
            },
        },
    },
}


@router.post(
    "",
    summary="Send a study and get its result",
    response_description="The study's current view: the images sent now and any sent before.",
    response_model=StudyResult,
    responses={
        200: {
            "headers": {
                "Idempotent-Replayed": {
                    "description": "true where every image had been processed before.",
                    "schema": {"type": "string"},
                }
            }
        },
        202: {
            "model": StudyResult,
            "description": "The study is stored and will be processed; requested with "
            "`Prefer: respond-async`.",
            "headers": {
                "Location": {
                    "description": "Path of the study's result.",
                    "schema": {"type": "string"},
                },
                "Preference-Applied": {
                    "description": "`respond-async`.",
                    "schema": {"type": "string"},
                },
            },
        },
        **documented(
            errors.MalformedRequestError,
            errors.RequestTooSlowError,
            errors.StudyConflictError,
            errors.StudyBacklogFullError,
            errors.StudyBeingDeletedError,
            errors.InvalidCallbackError,
            errors.BodyTooLargeError,
            errors.TooManyPartsError,
            errors.ImagesTooLargeError,
            errors.RequestMediaTypeError,
            errors.ContentCodingError,
            errors.UnsupportedImagesError,
            errors.InvalidPartsError,
            errors.InvalidMetadataError,
            errors.InvalidQueryError,
            errors.UnreadableImagesError,
            errors.ImagesWithoutContrastError,
            errors.NoModelAcceptsError,
            errors.UnknownModelError,
            errors.KeptOutError,
            errors.NoRuleError,
            errors.InferenceFailedError,
            errors.InferenceUnavailableError,
            errors.OverloadedError,
            errors.QuotaExceededError,
            errors.StoreError,
            errors.UnreadableDocumentError,
            errors.DeadlineExceededError,
        ),
    },
    openapi_extra=_SUBMISSION,
)
async def send_study(
    request: Request,
    gateway: GatewayDependency,
    caller: Annotated[Caller, Depends(require(Scope.STUDIES_WRITE))],
) -> Response:
    """Send one or more images with their metadata, as `multipart/form-data`.

    For DICOM files `metadata` may be left out, or complete what their attributes lack; it must
    not contradict them.

    A single image may also be the whole body, with the metadata in the header
    `RadStream-Metadata`. Sending the same image again answers with the stored result.

    An image that cannot be processed fails alone: the `status` is `partial`, and `not_processed`
    lists it until it is sent again, corrected.

    With `Prefer: respond-async` the answer comes before the study is processed: a faulty request
    is still refused at once, a fault found in decoding stands in the result as a failure.

    Without the scope `studies:read` the answer has the images of this request, and nothing else of
    the study.
    """
    callback = callback_of(request.headers, gateway.callbacks)
    awaited = not wants_async(request.headers)
    may_read = Scope.STUDIES_READ in caller.scopes
    deadline = deadline_of(request, gateway.settings.http.request_timeout_s)
    request.state.share = share = share_of(caller, request)
    source = StudySource(
        Route.REST,
        gateway.routing.routes.senders.name_of(caller),
        share,
        Turn.AT_ONCE,
        partial(read_study_request, request, gateway.settings, deadline),
        awaited=awaited,
        corrects=Scope.STUDIES_CORRECT in caller.scopes,
    )
    async with gateway.studies.admitted(source, deadline) as study:
        if not awaited:
            return await _accept(gateway, study, callback, may_read=may_read)
        answer = await while_connected(request, study.process())
    result = answer.result if may_read else answer.own_result
    return Response(
        gateway.links.result(result).model_dump_json(exclude_none=True),
        media_type="application/json",
        headers={"Idempotent-Replayed": "true"} if answer.replayed else None,
    )


async def _accept(
    gateway: Gateway, admitted: AdmittedStudy, callback: str | None, *, may_read: bool
) -> Response:
    """Answer for a study that is stored and not yet processed."""
    work, record = await gateway.submissions.accept(admitted, callback)
    if may_read:
        result = with_submissions(study_result(record), record)
    else:
        result = accepted_view(record, work)
    return Response(
        gateway.links.result(result).model_dump_json(exclude_none=True),
        status_code=202,
        media_type="application/json",
        headers={
            "Location": gateway.links.path(study_path(record.study_id)),
            "Preference-Applied": RESPOND_ASYNC,
        },
    )


@router.get(
    "/{study_id}",
    dependencies=_READS,
    summary="Get a study's result",
    response_model=StudyResult,
    response_model_exclude_none=True,
    responses={
        200: {"content": {FHIR_JSON: {"schema": {"type": "object"}}}},
        **documented(
            errors.StudyNotFoundError,
            errors.StudyDeletedError,
            errors.NotAcceptableError,
            errors.InvalidQueryError,
            errors.StoreError,
            errors.UnreadableDocumentError,
        ),
    },
)
async def read_study(
    study_id: StudyId, request: Request, gateway: GatewayDependency, explain: Explain = None
) -> StudyResult | Response:
    """Return the study's current view.

    With `Accept: application/fhir+json` it is a Bundle of HL7 FHIR R4, of R5 with
    `fhirVersion=5.0`.
    """
    release = fhir_release(request.headers)
    if release is None:
        result = await gateway.catalog.result(study_id)
        if explain is not None:
            readings = await gateway.results.readings(study_id) if result.images else []
            routing = await gateway.explanations.of(readings, most=_MOST_EXPLAINED)
            result = result.model_copy(update={"routing": routing})
        return gateway.links.result(result)
    result, identity = await gateway.catalog.identified_result(study_id)
    content = json.dumps(fhir_bundle(result, identity, release), ensure_ascii=False)
    return Response(content, media_type=f"{FHIR_JSON}; fhirVersion={release}")


@router.delete(
    "/{study_id}",
    dependencies=_OPERATES,
    status_code=204,
    summary="Delete a study",
    response_class=Response,
    responses=documented(
        errors.StudyNotFoundError,
        errors.StudyDeletedError,
        errors.InvalidQueryError,
        errors.StoreError,
        errors.UnreadableDocumentError,
    ),
)
async def delete_study(study_id: StudyId, gateway: GatewayDependency) -> Response:
    """Remove all stored data of the study: images, results, heat maps, pending and parked work.

    Images in processing are not stored. Afterwards `GET` answers 410; its files in a drop folder
    are the sender's and stay, but are not processed again. After about a minute the `study_id` may
    be sent anew.
    """
    await gateway.catalog.delete(study_id)
    return Response(status_code=204)


_PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
}
_PICTURE_ERRORS = (
    errors.StudyNotFoundError,
    errors.ImageNotFoundError,
    errors.InvalidQueryError,
    errors.StoreError,
    errors.UnreadableDocumentError,
    errors.TooManyPicturesError,
)


@router.get(
    "/{study_id}/images/{number}/preview.png",
    summary="Get a preview of an image",
    response_class=Response,
    responses=_PNG | documented(*_PICTURE_ERRORS),
)
async def preview(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Reader,
    key: PictureKey = None,
) -> Response:
    """Return the image as an 8-bit greyscale PNG, at most 1024 pixels on its longer side."""
    with gateway.admission.picture(share_of(caller, request)):
        drawn = gateway.pictures.preview(study_id, number, key)
        return _png(await while_connected(request, drawn), key)


@router.get(
    "/{study_id}/images/{number}/heatmap.png",
    summary="Get an image's heat map",
    response_class=Response,
    responses=_PNG | documented(*_PICTURE_ERRORS, errors.NoHeatMapError),
)
async def heatmap(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Reader,
    label: FindingLabel = None,
    key: PictureKey = None,
) -> Response:
    """Return the model's evidence for a finding, in colour over the radiograph."""
    with gateway.admission.picture(share_of(caller, request)):
        drawn = gateway.pictures.heatmap(study_id, number, label, key)
        return _png(await while_connected(request, drawn), key)


def _png(data: bytes, key: str | None) -> Response:
    # A key always names the same image; a number may come to mean another. No shared cache may keep
    # either.
    caching = "private, no-cache" if key is None else "private, max-age=3600"
    return Response(data, media_type="image/png", headers={"Cache-Control": caching})
