"""Dependencies of the routes: the gateway's parts, built once and passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.access.authentication import Authentication
from gateway.admission.admission import Admission
from gateway.audit.trail import Audit
from gateway.deferred.dicom_store import DicomStore
from gateway.deferred.submissions import Submissions
from gateway.delivery.outbox import Outbox
from gateway.delivery.webhooks import Callbacks
from gateway.dropfolder.delivery import Deliveries
from gateway.models.acceptances import Acceptances
from gateway.models.registry import ModelRegistry
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


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything the routes translate for, open while the application runs."""

    settings: Settings
    metrics: Metrics
    health: Health
    admission: Admission
    authentication: Authentication
    audit: Audit
    acceptances: Acceptances
    models: ModelRegistry
    results: ResultStore
    imaging: Imaging
    pictures: Pictures
    reports: Reports
    studies: StudyProcessor
    deliveries: Deliveries
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

    @property
    def links(self) -> Links:
        """Return the maker of the paths that answers name."""
        return Links(self.settings.http.path_prefix)


async def _gateway(request: Request) -> Gateway:  # FastAPI runs what is not async on a thread
    gateway: Gateway = request.state.gateway
    return gateway


GatewayDependency = Annotated[Gateway, Depends(_gateway)]
