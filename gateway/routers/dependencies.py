"""What routes are handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.metrics import Metrics
from gateway.schemas.backlog import Submission
from gateway.services.admission import Admission
from gateway.services.audit import Audit
from gateway.services.authentication import Authentication
from gateway.services.callbacks import Callbacks
from gateway.services.deletion import Deletion
from gateway.services.health import Health
from gateway.services.intake import Intake
from gateway.services.links import Links
from gateway.services.models import ModelRegistry
from gateway.services.pairing import Pairing
from gateway.services.parked_work import ParkedWork
from gateway.services.parking import Parking
from gateway.services.pictures import Pictures
from gateway.services.pipeline import Pipeline
from gateway.services.results import ResultStore
from gateway.services.studies import Studies
from gateway.services.submissions import Submissions
from gateway.services.worker import Worker
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything the routes translate for, open while the application runs."""

    settings: Settings
    metrics: Metrics
    health: Health
    admission: Admission
    authentication: Authentication
    audit: Audit
    models: ModelRegistry
    intake: Intake
    results: ResultStore
    pictures: Pictures
    pipeline: Pipeline
    pairing: Pairing
    parking: Parking
    parked_work: ParkedWork
    submissions: Submissions
    reader: Worker[Submission]
    callbacks: Callbacks
    studies: Studies
    deletion: Deletion

    @property
    def links(self) -> Links:
        """Return the maker of the paths that answers name."""
        return Links(self.settings.http.path_prefix)


async def _gateway(request: Request) -> Gateway:  # FastAPI runs what is not async on a thread
    gateway: Gateway = request.state.gateway
    return gateway


GatewayDependency = Annotated[Gateway, Depends(_gateway)]
