"""Sending studies from the browser, and the samples for a first look."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway.admission.admission import Slot
from gateway.console.access import Scripted, StudyWriter, check_form
from gateway.console.forms import read_form
from gateway.console.pages import ROOT, page
from gateway.console.problem_pages import PageRoute
from gateway.console.samples import Sample, samples
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.requests.preferences import share_of
from gateway.http.routes import studies
from gateway.runtime.deadline import Deadline
from gateway.studies.process import Received, StudySource, Turn
from gateway.studies.study import Route

router = APIRouter(prefix=f"{ROOT}/send", include_in_schema=False, route_class=PageRoute)
uploads = APIRouter(prefix=f"{ROOT}/send", include_in_schema=False)


@router.get("")
async def show_form(request: Request, gateway: GatewayDependency, caller: StudyWriter) -> Response:
    """Show the place to drop files on."""
    values = {"limit_bytes": gateway.settings.limits.body_bytes}
    return page(request, gateway, "send", values, caller=caller)


@uploads.post("/study", dependencies=[Scripted])
async def send_study(request: Request, gateway: GatewayDependency, caller: StudyWriter) -> Response:
    """Take a study as the API does, and answer as it does."""
    return await studies.send_study(request, gateway, caller)


@router.post("/samples")
async def send_samples(
    request: Request, gateway: GatewayDependency, caller: StudyWriter
) -> Response:
    """Process the sample radiographs, and show the studies."""
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    share = share_of(caller, request)
    for sample in samples():
        source = StudySource(
            Route.REST,
            caller.label,
            share,
            Turn.AT_ONCE,
            partial(_receive, sample),
            awaited=True,
        )
        deadline = Deadline.after(gateway.settings.http.request_timeout_s)
        await gateway.studies.process(source, deadline)
    return RedirectResponse(_shown(gateway), 303)


async def _receive(sample: Sample, slot: Slot) -> Received:
    slot.hold_bytes(len(sample.image))
    return Received(sample.document, [("image", sample.image)])


def _shown(gateway: Gateway) -> str:
    return gateway.links.path(f"{ROOT}/studies/{samples()[0].study_id}")
