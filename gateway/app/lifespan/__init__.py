"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway.app.lifespan.access import open_access
from gateway.app.lifespan.audit import open_audit
from gateway.app.lifespan.context import LifespanContext
from gateway.app.lifespan.deferred import backlog_work, make_backlogs
from gateway.app.lifespan.delivery import open_delivery
from gateway.app.lifespan.dimse import open_dimse
from gateway.app.lifespan.dropfolder import drop_folder_work, make_drop_folder
from gateway.app.lifespan.processing import open_processing
from gateway.app.lifespan.routing import open_routing
from gateway.app.lifespan.storage import open_storage
from gateway.deferred.dicom_store import DicomStore
from gateway.deferred.submissions import Submissions
from gateway.dropfolder.delivery import Deliveries
from gateway.dropfolder.parked_objects import ParkedObjects
from gateway.http.dependencies import Gateway
from gateway.observability.event_loop import observe_lag
from gateway.observability.pseudonyms import Pseudonyms
from gateway.observability.tracing import NO_TRACER
from gateway.results.catalog import StudyCatalog
from gateway.retrieval.originals import Originals
from gateway.runtime.secret_file import kept_secret
from gateway.studies.routing_facts import RoutingExplanations
from gateway.work.parked import ParkedCount
from gateway.work.parked_operations import ParkedOperations
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from opentelemetry.trace import Tracer

    from gateway.app.lifespan.deferred import Backlogs
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.app.tls import ServedCertificate
    from gateway.audit.trail import Audit
    from gateway.delivery.lines import DestinationLines
    from gateway.dropfolder.delivery import DropFolder
    from gateway.observability.metrics import Metrics
    from gateway.runtime.health import Health
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost
    from gateway.work.parked_operations import ParkedOwner

log = structlog.get_logger()


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    metrics: Metrics,
    health: Health,
    tracer: Tracer = NO_TRACER,
    *,
    certificate: ServedCertificate | None = None,
    triton_host: TritonHost | None = None,
) -> AsyncIterator[Gateway]:
    """Yield the gateway's parts, open until the block ends.

    Raises
    ------
    KeyFileError, RoutingFileError, DicomListenerError, StoreUnavailableError
        It cannot open what it is to. A Triton that does not answer is no error: it is waited for.
    """
    async with AsyncExitStack() as stack:
        context = LifespanContext(
            settings, metrics, health, tracer, _pseudonyms(settings), stack, triton_host
        )
        yield await _opened(context, certificate)
        log.info("gateway.closing")


async def _opened(context: LifespanContext, certificate: ServedCertificate | None) -> Gateway:
    """Return the gateway's parts, which the context's stack closes; see `open_gateway`."""
    settings, metrics = context.settings, context.metrics
    await _follow_process(context, certificate)
    authentication = await open_access(context)
    audit = await open_audit(context)
    routing = await open_routing(context, audit)
    storage = await open_storage(context)
    context.stack.push_async_callback(storage.index.writer.close)  # once nothing changes
    processing = await open_processing(context, storage, audit, routing)
    folder = make_drop_folder(context, storage, processing, audit)
    backlogs = await make_backlogs(context, storage, processing)
    submissions, catalog = _accepted(storage, processing, backlogs)
    outbox, lines = await open_delivery(context, storage, processing, audit, routing)
    for name, work in (
        *drop_folder_work(context, storage, processing, folder, audit),
        *backlog_work(settings, backlogs, catalog, storage, audit),
        *_store_work(settings, metrics, storage, audit, lines),
        ("shadow readings", processing.shadows.run()),
        ("canary roll-back", processing.roll_backs.run()),
    ):
        await context.run(name, work)
    parked_reports = await open_dimse(
        context, storage, processing, submissions, audit, routing=routing
    )
    log.info("gateway.open", triton=settings.triton.url, ready=processing.models.ready())
    return Gateway(
        settings=settings,
        metrics=metrics,
        health=context.health,
        admission=processing.admission,
        authentication=authentication,
        audit=audit,
        acceptances=processing.acceptances,
        models=processing.models,
        results=storage.results,
        imaging=processing.imaging,
        pictures=processing.pictures,
        reports=processing.reports,
        studies=processing.studies,
        deliveries=Deliveries(folder),
        parking=storage.parking,
        parked=_parked(storage, folder, (*backlogs.parked_owners, *parked_reports, lines)),
        submissions=submissions,
        outbox=outbox,
        dicom_store=_dicom_store(settings, processing, submissions),
        callbacks=backlogs.callbacks,
        catalog=catalog,
        search=storage.index.search,
        originals=Originals(storage.objects, storage.results, storage.index.search),
        deletion=storage.deletion,
        routing=routing,
        explanations=RoutingExplanations(routing, storage.results, processing.imaging),
    )


def _store_work(
    settings: Settings,
    metrics: Metrics,
    storage: StudyStorage,
    audit: Audit,
    lines: DestinationLines,
) -> tuple[tuple[str, Coroutine[object, object, object]], ...]:
    """Return the work that the store itself asks for, with its names."""
    return (
        ("parked items", _count_parked(settings, metrics, storage, audit, lines)),
        ("search index", storage.index.writer.run()),
        ("search reconciliation", storage.index.reconciliation.repeat()),
    )


async def _follow_process(context: LifespanContext, certificate: ServedCertificate | None) -> None:
    """Follow how late the event loop is, and the certificate if there is one."""
    await context.run("event loop lag", observe_lag(context.metrics))
    if certificate is not None:
        await context.run("certificate", certificate.follow(context.metrics))


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


def _count_parked(
    settings: Settings,
    metrics: Metrics,
    storage: StudyStorage,
    audit: Audit,
    lines: DestinationLines,
) -> Coroutine[object, object, object]:
    """Count what is parked; studies that were accepted park without any drop folder, too."""
    count = ParkedCount(storage.parking, metrics.dropfolder.keep_parked, lines.count_parked)
    every_s = min(settings.pending.sweep_s, settings.dropfolder.sweep_s)
    return sweep_for_ever(Sweep.PARKED, count, audit, every_s)


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
        backlogs.submissions,
        backlogs.reader,
        results=storage.results,
        pending=storage.submissions,
        completions=storage.completions,
        choice=processing.choice,
        imaging=processing.imaging,
    )
    return submissions, StudyCatalog(
        storage.objects, results=storage.results, deletion=storage.deletion
    )


def _pseudonyms(settings: Settings) -> Pseudonyms:
    """Return the hashes that stand for studies, the same after a restart where files keep the key.

    Events that are derived again after a kill have their ids by these hashes.
    """
    telemetry = settings.telemetry
    if telemetry.study_ref_key is not None:
        return Pseudonyms(telemetry.study_ref_key.get_secret_value())
    if telemetry.kind == "file":
        try:
            return Pseudonyms(kept_secret(telemetry.spool_folder / "study-ref.key"))
        except OSError:
            log.warning("telemetry.key_not_kept")
    return Pseudonyms(None)
