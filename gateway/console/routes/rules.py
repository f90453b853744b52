"""The rules of the routing document: as they stand, what they say of a file, and of a change."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gateway import errors
from gateway.access.callers import Scope
from gateway.audit.trail import name_study
from gateway.console.access import Operator, Scripted, check_form
from gateway.console.forms import read_form
from gateway.console.live_numbers import LiveNumbers
from gateway.console.pages import ROOT, fragment, page
from gateway.console.problem_pages import PageRoute
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.requests.preferences import deadline_of, share_of
from gateway.http.requests.study_request import read_study_request
from gateway.routing.changes import changes
from gateway.routing.document import InvalidRoutingError, parse_routing
from gateway.routing.explain import explained, worded
from gateway.routing.in_force import Routes, written_form
from gateway.routing.rules import BUILT_IN
from gateway.routing.sources import place_of
from gateway.schemas.patterns import CALLER_PATTERN
from gateway.schemas.routing_conditions import parts_of
from gateway.search.query import StudyQuery
from gateway.studies.routed_files import Arrival, ReadFile, RoutedFiles, UnroutableFileError
from gateway.studies.study import Route
from preprocess import Limits

if TYPE_CHECKING:
    from gateway.results.documents import Reading
    from gateway.schemas.routing import RoutingDocument
    from gateway.studies.routing_facts import Rerouted

router = APIRouter(prefix=f"{ROOT}/rules", include_in_schema=False, route_class=PageRoute)
explanations = APIRouter(prefix=f"{ROOT}/rules", include_in_schema=False)

_DOCUMENT_BYTES = 2**20
_STUDIES = 50
_IMAGES = 200


@router.get("")
async def show_rules(request: Request, gateway: GatewayDependency, caller: Operator) -> Response:
    """Show the routing document in force."""
    return page(request, gateway, "rules", await _values(gateway), caller=caller)


@explanations.post("/explain", dependencies=[Scripted])
async def explain_file(
    *,
    request: Request,
    gateway: GatewayDependency,
    caller: Operator,
    sender: Annotated[str, Query(pattern=CALLER_PATTERN)] = "anonymous",
    route: Route = Route.REST,
) -> Response:
    """Show what the rules say of an image that is sent along; nothing of it is stored."""
    arrival = Arrival(route, sender, dt.datetime.now(dt.UTC))
    routes, fault, routing = gateway.routing.routes, None, None
    limits = Limits(pixels=gateway.settings.limits.image_pixels)
    deadline = deadline_of(request, gateway.settings.http.request_timeout_s)
    with gateway.admission.slot(share_of(caller, request)) as slot:
        received = await read_study_request(request, gateway.settings, deadline, slot)
        [(name, data), *_] = received.files
        document = None if received.document is None else bytes(received.document)
        with closing(RoutedFiles(arrival, limits)) as files:
            try:
                facts = await files.facts(ReadFile(name, bytes(data), document), routes)
                routing = explained(routes, facts)
            except UnroutableFileError as error:
                fault = str(error)
    return fragment(request, gateway, "rules_explained", {"routing": routing, "fault": fault})


@router.post("/compare")
async def compare_document(
    request: Request, gateway: GatewayDependency, caller: Operator
) -> Response:
    """Show what an edited document would change, in itself and for recent studies."""
    form = await read_form(request, gateway, most_bytes=_DOCUMENT_BYTES)
    check_form(request, gateway, form.get("csrf"))
    values = await _values(gateway) | {"edited": form.get("document", "")}
    try:
        document = parse_routing(form.get("document", ""))
    except InvalidRoutingError as error:
        values["faults"] = [(fault.pointer, fault.detail) for fault in error.faults]
        return page(request, gateway, "rules", values, caller=caller, status=422)
    values["changes"] = changes(gateway.routing.document, document)
    if Scope.STUDIES_READ in caller.scopes:
        values |= await _compared(gateway, gateway.routing.routes_of(document))
    return page(request, gateway, "rules", values, caller=caller)


async def _compared(gateway: Gateway, edited: Routes) -> dict[str, Any]:
    """Return the images of the newest studies, and those of them that would go another way."""
    found = await gateway.search.find(StudyQuery(), limit=_STUDIES)
    readings: list[Reading] = []
    for entry in found.entries:
        name_study(entry.study_id)
        try:
            readings += await gateway.results.readings(entry.study_id)
        except (
            errors.StudyNotFoundError,
            errors.StudyBeingDeletedError,
            errors.UnreadableDocumentError,
        ):
            continue  # it has no image yet, or none any more
        if len(readings) >= _IMAGES:
            break
    rerouted: list[Rerouted] = []
    images = 0
    async for item in gateway.explanations.compared(readings[:_IMAGES], edited):
        images += 1
        if item.differs:
            rerouted.append(item)
    return {"images": images, "rerouted": rerouted}


async def _values(gateway: Gateway) -> dict[str, Any]:
    """Return what the page shows, with nothing tried on it."""
    routing = gateway.routing
    decisions: dict[str, float] | None = None
    if gateway.tenant is None:  # they are of all tenants together, and tell none of another
        numbers = LiveNumbers(gateway.metrics, await gateway.collected_metrics())
        decisions = numbers.by_outcome(gateway.metrics.routing.images)
    document = routing.document
    text = json.dumps(written_form(document), indent=2, ensure_ascii=False)
    return {
        "routing": routing,
        "document": document,
        "text": text,
        "decisions": decisions,
        "file": place_of(gateway.settings.routing),
        "rules": routing.routes.rules.all,
        "built_in": BUILT_IN,
        "worded": worded,
        "parts_of": parts_of,
        "routes": list(Route),
        "senders": _senders(document),
        "edited": None,
        "faults": (),
        "changes": None,
        "images": None,
        "rerouted": (),
    }


def _senders(document: RoutingDocument) -> list[str]:
    return list(dict.fromkeys(sender.name for sender in document.senders))
