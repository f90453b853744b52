"""Puts together the delivery of results to destinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.delivery.chosen_destinations import ChosenDestinations
from gateway.delivery.disclosures import Disclosures
from gateway.delivery.late_reports import LateReports
from gateway.delivery.lines import DestinationLines
from gateway.delivery.outbox import Outbox
from gateway.delivery.renderers import renderers
from gateway.delivery.storage_commitment import Commitments
from gateway.delivery.transports import Transports
from gateway.delivery.withdrawal_renderers import with_withdrawals
from gateway.delivery.withdrawals import Withdrawals
from gateway.problems import problem_of
from gateway.renderings.withdrawn_results import WithdrawnResults
from gateway.results.asked_commitments import AskedCommitments
from gateway.results.links import Links
from gateway.results.tombstones import Tombstones
from gateway.studies.routing_facts import RoutingExplanations
from gateway.work.claims import CLOCK_SKEW_S, Claims

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.audit.trail import Audit
    from gateway.delivery.renderers import Renderer
    from gateway.routing.in_force import Routing
    from gateway.schemas.result import RenderingKind


@dataclass(frozen=True, slots=True)
class DeliveryPart:
    """Parts that bring results to destinations.

    Parameters
    ----------
    outbox, lines
        Promises what studies bring, and brings it.
    commitments
        Takes reports of archives on storage commitment.
    late
        Applies those that no attempt waits for.
    """

    outbox: Outbox
    lines: DestinationLines
    commitments: Commitments
    late: LateReports


def make_delivery(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    audit: Audit,
    routing: Routing,
) -> DeliveryPart:
    """Return the outbox, which studies are promised from as they complete, and what serves it."""
    settings = context.settings
    asked = AskedCommitments(storage.objects)
    commitments = Commitments(context.commitment_reports, asked)
    transports = Transports(routing, settings.dimse, commitments)
    context.stack.callback(transports.close)
    made: dict[RenderingKind, Renderer] = {}
    lines = DestinationLines(
        storage.objects,
        storage.documents,
        storage.parking,
        routing=routing,
        transports=transports,
        renderers=made,
        disclosures=Disclosures(audit, context.pseudonyms),
        settings=settings.deliveries,
        sweep_s=settings.pending.sweep_s,
        claims=Claims(
            lease_s=settings.deliveries.timeout_s + CLOCK_SKEW_S, presence=storage.presence
        ),
        problem_of=problem_of,
        metrics=context.metrics,
    )
    explanations = RoutingExplanations(routing, storage.results, processing.imaging)
    chosen = ChosenDestinations(routing, explanations, storage.results)
    tombstones = Tombstones(storage.objects)
    withdrawals = Withdrawals(
        storage.objects, storage.documents, storage.results, tombstones=tombstones, lines=lines
    )
    withdrawn = WithdrawnResults(processing.imaging)
    links = Links(settings.http.path_prefix)
    made |= with_withdrawals(renderers(processing.reports, links), withdrawals, withdrawn, links)
    outbox = Outbox(storage.documents, chosen, lines, withdrawals=withdrawals, kinds=made.keys())
    storage.deletion.follow(withdrawals)
    storage.completions.follow(outbox)
    late = LateReports(asked, storage.documents, lines, sweep_s=settings.pending.sweep_s)
    return DeliveryPart(outbox, lines, commitments, late)
