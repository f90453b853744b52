"""Pictures and files of a study: those of the API, for who has a session."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from gateway.console.access import StudyReader
from gateway.console.pages import ROOT
from gateway.console.problem_pages import PageRoute
from gateway.http.dependencies import GatewayDependency
from gateway.http.requests.fhir import FHIR_JSON
from gateway.http.routes import reports, studies
from gateway.http.routes.studies import ImageNumber, PictureKey, StudyId
from gateway.renderings.fhir import fhir_bundle

router = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False, route_class=PageRoute)
pictures = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False)


@pictures.get("/{study_id}/images/{number}/preview.png")
async def preview(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
    key: PictureKey = None,
) -> Response:
    """Return the image as the API does."""
    return await studies.preview(
        study_id, number, request=request, gateway=gateway, caller=caller, key=key
    )


@pictures.get("/{study_id}/images/{number}/heatmap.png")
async def heatmap(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
    label: Annotated[str | None, Query(max_length=64)] = None,
    key: PictureKey = None,
) -> Response:
    """Return the heat map as the API does."""
    return await studies.heatmap(
        study_id, number, request=request, gateway=gateway, caller=caller, label=label, key=key
    )


@router.get("/{study_id}/report.dcm")
async def dicom_report(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Return the DICOM structured report as a file."""
    answer = await reports.dicom_report(study_id, request, gateway, caller)
    return _as_file(answer, f"{study_id}.dcm")


@router.get("/{study_id}/images/{number}/heatmap.dcm")
async def dicom_heatmap(
    study_id: StudyId,
    number: ImageNumber,
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
    key: PictureKey = None,
) -> Response:
    """Return the heat map as a Secondary Capture in a file."""
    answer = await reports.dicom_heatmap(
        study_id, number, request=request, gateway=gateway, caller=caller, key=key
    )
    return _as_file(answer, f"{study_id}-{number}.dcm")


@router.get("/{study_id}/report.hl7")
async def hl7_message(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Return the HL7 v2 message as a file."""
    answer = await reports.hl7_message(study_id, request, gateway, caller)
    return _as_file(answer, f"{study_id}.hl7")


@router.get("/{study_id}/report.fhir.json")
async def fhir_report(
    study_id: StudyId, gateway: GatewayDependency, _caller: StudyReader
) -> Response:
    """Return the FHIR R4 bundle as a file."""
    result, identity = await gateway.catalog.identified_result(study_id)
    content = json.dumps(fhir_bundle(result, identity), ensure_ascii=False)
    return _as_file(Response(content, media_type=FHIR_JSON), f"{study_id}.fhir.json")


@router.get("/{study_id}/result.json")
async def result_document(
    study_id: StudyId, gateway: GatewayDependency, _caller: StudyReader
) -> Response:
    """Return the result, as the API answers with it, as a file."""
    result = gateway.links.result(await gateway.catalog.result(study_id))
    content = result.model_dump_json(exclude_none=True)
    return _as_file(Response(content, media_type="application/json"), f"{study_id}.json")


def _as_file(answer: Response, name: str) -> Response:
    answer.headers["Content-Disposition"] = f'attachment; filename="{quote(name)}"'
    return answer
