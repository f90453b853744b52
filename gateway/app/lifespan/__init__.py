"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway.app.lifespan.access import open_access
from gateway.app.lifespan.audit import open_audit
from gateway.app.lifespan.context import Basis
from gateway.app.lifespan.deferred import backlog_work, make_backlogs
from gateway.app.lifespan.dropfolder import drop_folder_work, make_pairing
from gateway.app.lifespan.pipeline import open_way
from gateway.app.lifespan.storage import open_kept
from gateway.deferred.submissions import Submissions
from gateway.dropfolder.parked_objects import ParkedObjects
from gateway.http.dependencies import Gateway
from gateway.observability.event_loop import observe_lag
from gateway.observability.logs import Pseudonyms
from gateway.observability.tracing import NO_TRACER
from gateway.results.catalog import Studies
from gateway.runtime.secret_file import kept_secret
from gateway.work.parked import ParkedCount
from gateway.work.parked_operations import ParkedOperations
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from opentelemetry.trace import Tracer

    from gateway.app.lifespan.deferred import Backlogs
    from gateway.app.lifespan.pipeline import Way
    from gateway.app.lifespan.storage import Kept
    from gateway.app.tls import ServedCertificate
    from gateway.audit.trail import Audit
    from gateway.dropfolder.pairing import Pairing
    from gateway.observability.metrics import Metrics
    from gateway.runtime.health import Health
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost

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
    """The gateway's parts, open until the block ends.

    Raises
    ------
    KeyFileError
        There is to be a file of API keys, and it cannot be read.
    StoreUnavailableError
        The store cannot be opened. A Triton that does not answer is no error: it is waited for.
    """
    async with AsyncExitStack() as stack:
        basis = Basis(settings, metrics, health, tracer, _pseudonyms(settings), stack, triton_host)
        await basis.run("event loop lag", observe_lag(metrics))
        authentication = await open_access(basis)
        if certificate is not None:
            await basis.run("certificate", certificate.follow(metrics))
        audit = await open_audit(basis)
        kept = await open_kept(basis)
        way = await open_way(basis, kept)
        pairing = make_pairing(basis, kept, way, audit)
        backlogs = await make_backlogs(basis, kept, way, audit)
        submissions, studies = _accepted(kept, way, backlogs)
        for name, work in (
            *drop_folder_work(basis, kept, way, pairing, audit),
            *backlog_work(settings, backlogs, studies, kept.deletion, audit),
            ("parked items", _count_parked(settings, metrics, kept, audit)),
        ):
            await basis.run(name, work)
        log.info("gateway.open", triton=settings.triton.url, ready=way.models.ready())
        yield Gateway(
            settings=settings,
            metrics=metrics,
            health=health,
            admission=way.admission,
            authentication=authentication,
            audit=audit,
            models=way.models,
            intake=way.intake,
            results=kept.results,
            pictures=way.pictures,
            pipeline=way.pipeline,
            pairing=pairing,
            parking=kept.parking,
            parked=_parked(kept, pairing, backlogs),
            submissions=submissions,
            reader=backlogs.reader,
            callbacks=backlogs.callbacks,
            studies=studies,
            deletion=kept.deletion,
        )
        log.info("gateway.closing")


def _count_parked(
    settings: Settings, metrics: Metrics, kept: Kept, audit: Audit
) -> Coroutine[object, object, object]:
    """Count what is parked; studies that were accepted park without any drop folder, too."""
    count = ParkedCount(kept.parking, metrics.dropfolder.keep_parked)
    every_s = min(settings.pending.sweep_s, settings.dropfolder.sweep_s)
    return sweep_for_ever(Sweep.PARKED, count, audit, every_s)


def _parked(kept: Kept, pairing: Pairing, backlogs: Backlogs) -> ParkedOperations:
    """Put together what an operator may do with parked items."""
    owners = backlogs.parked_owners(kept.parking)
    return ParkedOperations(
        kept.parking, [*owners, ParkedObjects(pairing, kept.parked_images, kept.inbox)]
    )


def _accepted(kept: Kept, way: Way, backlogs: Backlogs) -> tuple[Submissions, Studies]:
    """What takes studies that are read later, and what knows all studies."""
    submissions = Submissions(
        backlogs.submissions,
        results=kept.results,
        deletion=kept.deletion,
        models=way.models,
        imaging=way.imaging,
    )
    return submissions, Studies(
        kept.objects, results=kept.results, pending=submissions, deletion=kept.deletion
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
