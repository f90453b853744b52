"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from gateway.app.lifespan.access import open_access
from gateway.app.lifespan.audit import open_audit
from gateway.app.lifespan.context import LifespanContext
from gateway.app.lifespan.dimse import open_dimse
from gateway.app.lifespan.dropfolder import collector_work
from gateway.app.lifespan.part import Foundation, Part, make_part
from gateway.app.lifespan.processing import open_engine
from gateway.app.lifespan.routing import open_routing
from gateway.app.lifespan.stores import open_all_stores, tenant_of_object
from gateway.app.study_ref_key import study_ref_key
from gateway.delivery.storage_commitment import AwaitedReports
from gateway.dropfolder.tenants import TenantDeliveries
from gateway.observability.event_loop import observe_lag
from gateway.observability.pseudonyms import Pseudonyms
from gateway.observability.tracing import NO_TRACER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from opentelemetry.trace import Tracer

    from gateway.app.lifespan.context import WorkerPlace
    from gateway.app.tls import ServedCertificate
    from gateway.dropfolder.tenants import ObjectIntake
    from gateway.http.dependencies import Gateway
    from gateway.observability.metrics import Metrics
    from gateway.routing.in_force import Routing
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
    worker: WorkerPlace | None = None,
) -> AsyncIterator[Gateway]:
    """Yield the gateway's parts, open until the block ends.

    Raises
    ------
    KeyFileError, RoutingFileError, DicomListenerError, StoreUnavailableError
        It cannot open what it is to. A Triton that does not answer is no error: it is waited for.
    """
    async with AsyncExitStack() as stack:
        context = LifespanContext(
            settings,
            metrics,
            health,
            tracer,
            _pseudonyms(settings),
            stack,
            triton_host=triton_host,
            worker=worker,
            commitment_reports=AwaitedReports() if worker is None else worker.commitment_reports,
        )
        yield await _opened(context, certificate)
        log.info("gateway.closing")


async def _opened(context: LifespanContext, certificate: ServedCertificate | None) -> Gateway:
    """Return the gateway's parts, which the context's stack closes; see `open_gateway`."""
    settings = context.settings
    await _follow_process(context, certificate)
    authentication = await open_access(context)
    audit = await open_audit(context)
    stores = await open_all_stores(context)
    routing = await open_routing(context, audit, stores.objects)
    engine = await open_engine(context, stores, audit, routing)
    foundation = Foundation(authentication, audit, routing, stores, engine)
    own = await make_part(context, foundation)
    tenants = {
        name: await make_part(context.of_tenant(name), foundation)
        for name in settings.tenancy.tenants
    }
    intake: ObjectIntake = own.settled
    gateway = own.gateway
    if tenants:  # then nothing lies in the part of those who have none, and nothing is done in it
        intake = _shared_intake(context, routing, {k: v.settled for k, v in tenants.items()})
        gateway = _with_tenants(context, gateway, {k: v.gateway for k, v in tenants.items()})
    for name, work in chain(
        collector_work(context, stores, engine, intake, audit, routing=routing),
        *(part.work for part in tenants.values() or [own]),
    ):
        await context.run(name, work)
    parts: Mapping[str | None, Part] = {None: own} | dict[str | None, Part](tenants)
    intakes = {name: part.dicom.intake for name, part in parts.items() if part.dicom}
    await open_dimse(context, intakes, routing)
    log.info("gateway.open", triton=settings.triton.url, ready=engine.models.ready())
    return gateway


def _with_tenants(
    context: LifespanContext, gateway: Gateway, tenants: Mapping[str, Gateway]
) -> Gateway:
    """Return the gateway of those who have no tenant, which knows the others."""
    deliveries = {name: tenant.deliveries for name, tenant in tenants.items()}
    return replace(
        gateway,
        tenants=tenants,
        deliveries=_shared_intake(context, gateway.routing, deliveries),
    )


def _shared_intake(
    context: LifespanContext, routing: Routing, intakes: Mapping[str, ObjectIntake]
) -> TenantDeliveries:
    """Return the intake of objects for whoever brings those of all tenants."""
    tenant_of = partial(tenant_of_object, context.settings, routing)
    return TenantDeliveries(intakes, tenant_of, context.pseudonyms)


async def _follow_process(context: LifespanContext, certificate: ServedCertificate | None) -> None:
    """Follow how late the event loop is, and the certificate if there is one."""
    await context.run("event loop lag", observe_lag(context.metrics))
    if certificate is not None:
        await context.run("certificate", certificate.follow(context.metrics))


def _pseudonyms(settings: Settings) -> Pseudonyms:
    """Return the hashes that stand for studies."""
    return Pseudonyms(study_ref_key(settings.telemetry))
