"""Reports of studies in the form of other systems: DICOM objects, an HL7 v2 message."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from gateway import errors
from gateway.http.dependencies import GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.body import while_connected
from gateway.http.requests.preferences import share_of
from gateway.http.routes.studies import FindingLabel, ImageNumber, PictureKey, Reader, StudyId
from gateway.schemas.hl7 import MessageForm
from preprocess import MediaType

router = APIRouter(prefix="/v1/studies", tags=["studies"])

HL7_V2 = "application/hl7-v2"


_DICOM: dict[int | str, dict[str, Any]] = {
    200: {"content": {MediaType.DICOM.value: {"schema": {"type": "string", "format": "binary"}}}},
}


@router.get(
    "/{study_id}/report.dcm",
    summary="Get a study's DICOM report",
    response_class=Response,
    responses=_DICOM
    | documented(
        errors.StudyNotFoundError,
        errors.NoDicomContextError,
        errors.ModelSilentError,
        errors.InvalidQueryError,
        errors.StoreError,
        errors.UnreadableDocumentError,
        errors.TooManyPicturesError,
    ),
)
async def dicom_report(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: Reader
) -> Response:
    """Return the results as a DICOM structured report (TID 1500), in the patient's own study.

    The same results give the same object, byte for byte. Images that are not in DICOM are left out.
    """
    with gateway.admission.picture(share_of(caller, request)):
        rendered = gateway.reports.structured_report(study_id)
        return Response(await while_connected(request, rendered), media_type=MediaType.DICOM)


@router.get(
    "/{study_id}/images/{number}/heatmap.dcm",
    summary="Get an image's heat map in DICOM",
    response_class=Response,
    responses=_DICOM
    | documented(
        errors.StudyNotFoundError,
        errors.ImageNotFoundError,
        errors.NoHeatMapError,
        errors.NoDicomContextError,
        errors.InvalidQueryError,
        errors.StoreError,
        errors.UnreadableDocumentError,
        errors.TooManyPicturesError,
    ),
)
async def dicom_heatmap(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Reader,
    label: FindingLabel = None,
    key: PictureKey = None,
) -> Response:
    """Return the picture of the heat map as a Secondary Capture, in the patient's own study.

    A notice under the picture says that a machine made it. The same reading gives the same object,
    byte for byte.
    """
    with gateway.admission.picture(share_of(caller, request)):
        rendered = gateway.reports.secondary_capture(study_id, number, label, key)
        return Response(await while_connected(request, rendered), media_type=MediaType.DICOM)


@router.get(
    "/{study_id}/report.hl7",
    summary="Get a study's HL7 message",
    response_class=Response,
    responses={
        200: {"content": {HL7_V2: {"schema": {"type": "string", "format": "binary"}}}},
        **documented(
            errors.StudyNotFoundError,
            errors.InvalidQueryError,
            errors.StoreError,
            errors.UnreadableDocumentError,
            errors.TooManyPicturesError,
        ),
    },
)
async def hl7_message(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: Reader
) -> Response:
    """Return the results as an HL7 v2.5.1 message ORU^R01 in UTF-8, all of it preliminary.

    The same results give the same message, byte for byte.
    """
    with gateway.admission.picture(share_of(caller, request)):
        rendered = gateway.reports.oru(study_id, MessageForm())
        return Response(await while_connected(request, rendered), media_type=HL7_V2)
