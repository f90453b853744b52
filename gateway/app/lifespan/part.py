"""Makes the part of the gateway that has one store: a tenant's, or the only one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from gateway.app.lifespan.deferred import backlog_work, make_backlogs
from gateway.app.lifespan.delivery import make_delivery
from gateway.app.lifespan.dimse import make_dimse
from gateway.app.lifespan.dropfolder import (
    drop_folder_work,
    make_drop_folder,
    make_settled_folder,
)
from gateway.app.lifespan.processing import make_processing
from gateway.app.lifespan.storage import make_storage
from gateway.deferred.dicom_store import DicomStore
from gateway.deferred.submissions import Submissions
from gateway.dropfolder.delivery import Deliveries
from gateway.dropfolder.parked_objects import ParkedObjects
from gateway.http.dependencies import Gateway
from gateway.results.catalog import StudyCatalog
from gateway.retrieval.originals import Originals
from gateway.routing.tenants import routing_of
from gateway.studies.routing_facts import RoutingExplanations
from gateway.work.parked import ParkedCount
from gateway.work.parked_operations import ParkedOperations
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from gateway.access.authentication import Authentication
    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.deferred import Backlogs
    from gateway.app.lifespan.delivery import DeliveryPart
    from gateway.app.lifespan.dimse import DicomPart
    from gateway.app.lifespan.processing import Engine, Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.app.lifespan.stores import Stores
    from gateway.audit.trail import Audit
    from gateway.delivery.lines import DestinationLines
    from gateway.dropfolder.delivery import DropFolder
    from gateway.routing.in_force import Routing
    from gateway.settings import Settings
    from gateway.work.parked_operations import ParkedOwner


@dataclass(frozen=True, slots=True)
class Foundation:
    """Parts that all tenants share.

    Parameters
    ----------
    authentication, audit, routing, stores, engine
        Callers, the audit trail, the whole routing document, the whole stores, and what studies
        are processed by.
    """

    authentication: Authentication
    audit: Audit
    routing: Routing
    stores: Stores
    engine: Engine


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the gateway that has one store, and the work that goes on in it.

    Parameters
    ----------
    gateway
        Parts that the routes translate for.
    settled
        Takes files of the drop folder without anybody's asking.
    dicom
        Intake of instances from the listener; None where there is to be no listener.
    work
        Background tasks, each with its name; none runs yet.
    """

    gateway: Gateway
    settled: Deliveries
    dicom: DicomPart | None
    work: Iterator[tuple[str, Coroutine[object, object, object]]]


async def make_part(context: LifespanContext, foundation: Foundation) -> Part:
    """Return the part of the context's tenant, or of all where there are no tenants."""
    settings = context.settings
    audit = foundation.audit.of_tenant(context.tenant)
    routing = routing_of(foundation.routing, context.tenant)
    storage = make_storage(context, foundation.stores, foundation.routing)
    context.stack.push_async_callback(storage.index.writer.close)  # once nothing changes
    processing = make_processing(context, foundation.engine, storage, audit, routing)
    folder = make_drop_folder(context, storage, processing, audit)
    settled = make_settled_folder(
        context, storage, processing, folder, audit, routing=foundation.routing
    )
    backlogs = await make_backlogs(context, storage, processing)
    submissions, catalog = _accepted(storage, processing, backlogs)
    delivery = make_delivery(context, storage, processing, audit, routing)
    dicom = make_dimse(
        context,
        storage,
        processing,
        submissions,
        audit,
        routing=routing,
        commitments=delivery.commitments,
    )
    owners = (*backlogs.parked_owners, *([dicom.owner] if dicom else ()), delivery.lines)
    gateway = Gateway(
        settings=settings,
        program_sha256=context.program_sha256,
        metrics=context.metrics,
        collected_metrics=context.collected_metrics,
        health=context.health,
        admission=processing.admission,
        authentication=foundation.authentication,
        audit=audit,
        acceptances=processing.acceptances,
        minutes=processing.monitoring.minutes,
        silences=processing.monitoring.silences,
        models=processing.models,
        results=storage.results,
        imaging=processing.imaging,
        pictures=processing.pictures,
        reports=processing.reports,
        studies=processing.studies,
        deliveries=Deliveries(folder),
        parking=storage.parking,
        parked=_parked(storage, folder, owners),
        submissions=submissions,
        outbox=delivery.outbox,
        dicom_store=_dicom_store(settings, processing, submissions),
        callbacks=backlogs.callbacks,
        catalog=catalog,
        search=storage.index.search,
        originals=Originals(storage.objects, storage.results, storage.index.search),
        deletion=storage.deletion,
        routing=routing,
        explanations=RoutingExplanations(routing, storage.results, processing.imaging),
        tenant=context.tenant,
    )
    work = chain(
        drop_folder_work(context, storage, settled, audit),
        backlog_work(settings, backlogs, catalog, storage, audit),
        _store_work(context, storage, audit, delivery.lines),
        _delivery_work(delivery),
        _report_work(dicom),
        _model_work(processing),
        _quota_work(settings, processing),
    )
    return Part(gateway, Deliveries(settled), dicom, work)


def _store_work(
    context: LifespanContext, storage: StudyStorage, audit: Audit, lines: DestinationLines
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """Yield the work that the store itself asks for, with its names."""
    yield "parked items", _count_parked(context, storage, audit, lines)
    yield "search index", storage.index.writer.run()
    yield "search reconciliation", storage.index.reconciliation.repeat()


def _delivery_work(
    delivery: DeliveryPart,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    yield "deliveries", delivery.lines.run()
    yield "outbox", delivery.outbox.run()
    yield "late reports on storage commitment", delivery.late.run()


def _report_work(
    dicom: DicomPart | None,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    if dicom is not None:
        yield "reports on storage commitment", dicom.worker.run()


def _model_work(
    processing: Processing,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    yield "shadow readings", processing.shadows.run()
    yield "canary roll-back", processing.roll_backs.run()


def _quota_work(
    settings: Settings, processing: Processing
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    if processing.quota is not None:
        yield "tenant quota", processing.quota.keep(settings.pending.sweep_s)


def _count_parked(
    context: LifespanContext, storage: StudyStorage, audit: Audit, lines: DestinationLines
) -> Coroutine[object, object, object]:
    """Count what is parked; studies that were accepted park without any drop folder, too."""
    settings = context.settings
    keep_parked = context.counting("parked items", context.metrics.dropfolder.keep_parked)
    count = ParkedCount(storage.parking, keep_parked, lines.count_parked)
    every_s = min(settings.pending.sweep_s, settings.dropfolder.sweep_s)
    return sweep_for_ever(Sweep.PARKED, count, audit, every_s)


def _dicom_store(
    settings: Settings, processing: Processing, submissions: Submissions
) -> DicomStore:
    """Return the store of DICOM instances that are sent one by one."""
    return DicomStore(
        processing.studies,
        submissions,
        processing.imaging,
        timeout_s=settings.http.request_timeout_s,
    )


def _parked(
    storage: StudyStorage, folder: DropFolder, owners: Sequence[ParkedOwner]
) -> ParkedOperations:
    """Put together what an operator may do with parked items."""
    return ParkedOperations(storage.parking, [*owners, ParkedObjects(folder)])


def _accepted(
    storage: StudyStorage, processing: Processing, backlogs: Backlogs
) -> tuple[Submissions, StudyCatalog]:
    """Return the intake of studies that are processed later, and the catalog of all studies."""
    submissions = Submissions(
        processing.submissions,
        backlogs.reader,
        results=storage.results,
        pending=storage.submissions,
        completions=storage.completions,
        choice=processing.choice,
        imaging=processing.imaging,
        steps=processing.steps,
        images=processing.images,
    )
    return submissions, StudyCatalog(
        storage.objects, results=storage.results, deletion=storage.deletion
    )
