"""The list of studies, and the page of one."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from gateway import errors
from gateway.audit.trail import name_study
from gateway.console.access import Operator, StudyReader, check_form
from gateway.console.forms import read_form
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute, problem_name
from gateway.console.study_query import AskedStudies, FoundStudies, asked_studies, find_studies
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.requests.fhir import FHIR_JSON
from gateway.http.routes import reports, studies
from gateway.http.routes.studies import ImageNumber, PictureKey, StudyId
from gateway.renderings.fhir import fhir_bundle
from gateway.schemas.result import ImageResult, Status, StudyDelivery, StudyResult
from gateway.search.query import StudyQuery

router = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False, route_class=PageRoute)
files = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False)


@router.get("")
async def list_studies(
    request: Request, gateway: GatewayDependency, caller: StudyReader
) -> Response:
    """Show the newest studies, or those that are searched for."""
    faults: tuple[errors.Fault, ...] = ()
    asked, found = AskedStudies(), FoundStudies((), (), None, None)
    try:
        asked = asked_studies(request.query_params)
        found = await find_studies(gateway.search, asked)
    except errors.InvalidQueryError as error:
        faults = error.faults
    for entry in found.entries:
        name_study(entry.study_id)
    for study_id in found.unreadable:
        name_study(study_id)
    values = {
        "asked": asked,
        "found": found,
        "faults": faults,
        "states": list(Status),
        "labels": _labels(gateway),
    }
    status = 422 if faults else 200
    return page(request, gateway, "studies", values, caller=caller, status=status)


@router.get("/{study_id}")
async def show_study(
    study_id: StudyId,
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
    image: Annotated[int | None, Query(ge=1, le=10**9)] = None,
) -> Response:
    """Show a study: one of its images, with all readings of it."""
    result = await gateway.catalog.result(study_id)
    found = await gateway.search.find(StudyQuery(study_ids=(study_id,)), limit=1)
    values = {
        "result": result,
        "entry": next(iter(found.entries), None),
        "image": _shown(result, image),
        "folder": gateway.links.path(f"{ROOT}/studies/{study_id}"),
        "problem_name": problem_name,
        "destinations": _destinations(gateway, result),
    }
    return page(request, gateway, "study", values, caller=caller)


@router.post("/{study_id}/deliveries")
async def resend_study(
    study_id: StudyId, request: Request, gateway: GatewayDependency, _caller: Operator
) -> Response:
    """Bring the study to one destination again, or to all of its own."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    await gateway.outbox.resend(study_id, destination=form.get("destination") or None)
    return RedirectResponse(gateway.links.path(f"{ROOT}/studies/{study_id}"), 303)


def _shown(result: StudyResult, number: int | None) -> ImageResult | None:
    """Return the image of this number; without one, the first with a positive finding, or any."""
    if number is not None:
        for image in result.images:
            if image.number == number:
                return image
        raise errors.ImageNotFoundError(number, len(result.images))
    standing = [image for image in result.images if image.superseded_by is None]
    positive = (image for image in standing if is_positive(image))
    return next(positive, next(iter(standing or result.images), None))


def _destinations(gateway: Gateway, result: StudyResult) -> dict[str, list[StudyDelivery]]:
    """Return the deliveries by destination, newest first, of those in force even where none is."""
    found: dict[str, list[StudyDelivery]] = {
        destination.name: [] for destination in gateway.routing.document.destinations
    }
    for item in reversed(result.deliveries or ()):
        found.setdefault(item.destination, []).append(item)
    return found


def is_positive(image: ImageResult) -> bool:
    """Return True if any reading has a positive finding."""
    return any(finding.positive for reading in image.readings for finding in reading.findings)


def _labels(gateway: Gateway) -> list[str]:
    """Return the labels that the models know."""
    contracts = (state.served.contract for state in gateway.models.states() if state.served)
    return sorted({label.label for contract in contracts for label in contract.output.labels})


@files.get("/{study_id}/images/{number}/preview.png")
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


@files.get("/{study_id}/images/{number}/heatmap.png")
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
