"""Dependencies of the routes: the gateway's parts, built once and passed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client.registry import Collector

from gateway.access.authentication import Authentication
from gateway.access.callers import Caller
from gateway.admission.admission import Admission
from gateway.audit.trail import Audit
from gateway.deferred.dicom_store import DicomStore
from gateway.deferred.submissions import Submissions
from gateway.delivery.callbacks import Callbacks
from gateway.delivery.outbox import Outbox
from gateway.dropfolder.tenants import ObjectIntake
from gateway.errors import RadStreamError, TenancyError
from gateway.models.acceptances import Acceptances
from gateway.models.registry import ModelRegistry
from gateway.monitoring.minutes import MinuteCounts
from gateway.monitoring.silences import Silences
from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.renderings.reports import Reports
from gateway.results.catalog import StudyCatalog
from gateway.results.deletion import Deletion
from gateway.results.links import Links
from gateway.results.store import ResultStore
from gateway.retrieval.originals import Originals
from gateway.routing.in_force import Routing
from gateway.runtime.health import Health
from gateway.search.query import StudySearch
from gateway.settings import Settings
from gateway.studies.imaging import Imaging
from gateway.studies.process import StudyProcessor
from gateway.studies.routing_facts import RoutingExplanations
from gateway.work.parked import Parking
from gateway.work.parked_operations import ParkedOperations


class Reach(Enum):
    """Extent of what a route tells of, where the gateway has tenants."""

    TENANT = auto()  # studies, of the caller's tenant alone
    NO_STUDY = auto()  # nothing of any study
    ALL = auto()  # what all tenants do


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything the routes translate for, open while the application runs.

    Parameters
    ----------
    program_sha256
        SHA-256 over the files of the program.
    metrics
        Metrics of this process.
    collected_metrics
        Returns what the metrics of all processes of the gateway come to.
    tenant
        Tenant whose studies it has; None where there are no tenants, and in the gateway of those
        who have none.
    tenants
        Gateways by tenant, in the gateway of those who have none.
    """

    settings: Settings
    program_sha256: str
    metrics: Metrics
    collected_metrics: Callable[[], Awaitable[Collector]]
    health: Health
    admission: Admission
    authentication: Authentication
    audit: Audit
    acceptances: Acceptances
    minutes: MinuteCounts
    silences: Silences
    models: ModelRegistry
    results: ResultStore
    imaging: Imaging
    pictures: Pictures
    reports: Reports
    studies: StudyProcessor
    deliveries: ObjectIntake
    parking: Parking
    parked: ParkedOperations
    submissions: Submissions
    outbox: Outbox
    dicom_store: DicomStore
    callbacks: Callbacks
    catalog: StudyCatalog
    search: StudySearch
    originals: Originals
    deletion: Deletion
    routing: Routing
    explanations: RoutingExplanations
    tenant: str | None = None
    tenants: Mapping[str, Gateway] = field(default_factory=dict)

    def of(self, caller: Caller) -> Gateway:
        """Return the gateway that is open to a caller: its tenant's, this one without any."""
        tenant = self.routing.routes.senders.tenant_of(caller) if self.tenants else None
        return self if tenant is None else self.tenants[tenant]

    @property
    def links(self) -> Links:
        """Return the maker of the paths that answers name."""
        return Links(self.settings.http.path_prefix)


def check_reach(request: Request, gateway: Gateway, caller: Caller, reach: Reach) -> None:
    """Let a caller pass to what the route tells of.

    Raises
    ------
    TenancyError
    """
    whole: Gateway = request.state.gateway
    if not whole.tenants or reach is Reach.NO_STUDY:
        return
    if reach is Reach.ALL and gateway.tenant is not None:
        raise TenancyError("It tells of all tenants, and this caller belongs to one.")
    if reach is Reach.TENANT and (gateway.tenant is None or whole.of(caller) is not gateway):
        raise TenancyError("The routing document names no tenant for this caller.")


async def _gateway(request: Request) -> Gateway:  # FastAPI runs what is not async on a thread
    """Return the gateway that is open to the request's caller.

    Tenants are told apart here, once: whatever a route reads or writes lies in this gateway's
    store. Without a valid credential it is the gateway of those who have no tenant; the route's
    own dependency says what is wrong with it.
    """
    gateway: Gateway = request.state.gateway
    if gateway.tenants:
        with suppress(RadStreamError):
            gateway = gateway.of(await request.app.state.caller_of(request, gateway))
        request.state.act.tenant = gateway.tenant
    return gateway


GatewayDependency = Annotated[Gateway, Depends(_gateway)]
