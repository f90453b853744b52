"""The page of a study, what is said of it there, and its part of the audit trail."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.audit.study_records import StudyRecords, records_of
from gateway.console.access import Operator, StudyReader, check_form, require
from gateway.console.forms import Form, read_form
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute, problem_name
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.routes.studies import StudyId
from gateway.results.judgements import keep_feedback
from gateway.schemas.feedback import FeedbackRequest, parse_feedback
from gateway.schemas.result import ImageResult, StudyDelivery, StudyResult
from gateway.search.query import StudyQuery

if TYPE_CHECKING:
    from gateway.schemas.routing_explanation import ImageRouting

router = APIRouter(prefix=f"{ROOT}/studies", include_in_schema=False, route_class=PageRoute)

FeedbackGiver = Annotated[Caller, Depends(require(Scope.STUDIES_FEEDBACK))]


@router.get("/{study_id}")
async def show_study(
    study_id: StudyId,
    request: Request,
    gateway: GatewayDependency,
    caller: StudyReader,
    image: Annotated[int | None, Query(ge=1, le=10**9)] = None,
) -> Response:
    """Show a study: one of its images, with all readings of it, and its way."""
    result = await gateway.catalog.result(study_id)
    found = await gateway.search.find(StudyQuery(study_ids=(study_id,)), limit=1)
    shown = _shown(result, image)
    values = {
        "result": result,
        "entry": next(iter(found.entries), None),
        "image": shown,
        "routing": None if shown is None else await _routing(gateway, study_id, shown),
        "folder": gateway.links.path(f"{ROOT}/studies/{study_id}"),
        "problem_name": problem_name,
        "destinations": _destinations(gateway, result),
        "feedback": result.feedback or (),
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


@router.post("/{study_id}/feedback")
async def give_feedback(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: FeedbackGiver
) -> Response:
    """Keep a person's judgement on a finding, in the place of an earlier one."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    await keep_feedback(
        *(study_id, _feedback(form), caller.name),
        catalog=gateway.catalog,
        results=gateway.results,
        minutes=gateway.minutes,
    )
    image = form.get("image", "")
    query = "?" + urlencode({"image": image}) if image.isdecimal() else ""
    return RedirectResponse(gateway.links.path(f"{ROOT}/studies/{study_id}") + query, 303)


@router.get("/{study_id}/audit")
async def show_audit_trail(
    study_id: StudyId, request: Request, gateway: GatewayDependency, caller: Operator
) -> Response:
    """Show who did what to the study, newest first."""
    result = await gateway.catalog.result(study_id)
    audit = gateway.settings.audit
    found = StudyRecords((), is_whole=False)
    if audit.kind == "file":
        found = await asyncio.to_thread(
            records_of,
            audit.folder,
            study_id,
            since=result.received_at.date(),
            tenant=gateway.tenant,
        )
    values = {"study_id": study_id, "found": found, "is_file": audit.kind == "file"}
    return page(request, gateway, "audit", values, caller=caller)


def _feedback(form: Form) -> FeedbackRequest:
    """Return the judgement that a form's button stands for."""
    sent: dict[str, object] = {name: form.get(name, "") for name in ("label", "judgement")}
    if form.get("model"):
        sent["model"] = {"name": form["model"], "version": form.get("version")}
    return parse_feedback(json.dumps(sent).encode())


async def _routing(gateway: Gateway, study_id: str, image: ImageResult) -> ImageRouting | None:
    """Return what the rules in force say of an image; None where there are no rules."""
    if not gateway.routing.document.has_rules:
        return None
    readings = await gateway.results.readings(study_id)
    found = await gateway.explanations.of(
        reading for reading in readings if reading.sha256 == image.sha256
    )
    return next(iter(found), None)


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


def is_positive(image: ImageResult) -> bool:
    """Return True if any reading has a positive finding."""
    return any(finding.positive for reading in image.readings for finding in reading.findings)


def _destinations(gateway: Gateway, result: StudyResult) -> dict[str, list[StudyDelivery]]:
    """Return the deliveries by destination, newest first, of those in force even where none is."""
    found: dict[str, list[StudyDelivery]] = {
        destination.name: [] for destination in gateway.routing.document.destinations
    }
    for item in reversed(result.deliveries or ()):
        found.setdefault(item.destination, []).append(item)
    return found
