"""A pipeline over a store in memory, before a real or a scripted Triton."""

import datetime as dt
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from gateway.models.registry import ModelRegistry
from gateway.monitoring.minutes import MinuteCounts
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.in_force import Routing
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.routing import RoutingDocument
from gateway.storage.protocol import ObjectStore
from gateway.studies.answer import Answer
from gateway.studies.imaging import Imaging
from gateway.studies.inference import Inference
from gateway.studies.model_choice import ModelChoice
from gateway.studies.pipeline import Pipeline
from gateway.studies.shadow_queue import ShadowQueue
from gateway.studies.study import Route, Study, StudyImage
from gateway.triton.client import TritonClient
from gateway.work.turns import Steps
from preprocess import Limits
from tests.support.inference import ScriptedTriton
from tests.support.models import flat_png
from tests.support.monitoring import silences_on
from tests.support.telemetry import Told
from tests.support.work import promises_on

WHITE, BLACK = flat_png(255), flat_png(0)


class Parts:
    """A pipeline and all that it stands on."""

    def __init__(
        self, client: TritonClient, objects: ObjectStore, routing: Routing | None = None
    ) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.told = Told(self.metrics)
        self.models = ModelRegistry(client, self.metrics, refresh_s=5, probe_timeout_s=10)
        self.results = ResultStore(objects, StudyDocuments(objects))
        self.routing = routing or Routing()
        self.shadows = ShadowQueue(100, self.metrics)
        self.canaries = CanaryWatch(self.routing, objects)
        self.minutes = MinuteCounts(objects, self.metrics.monitoring)
        self.steps = Steps(2)
        imaging = Imaging(threads=2, limits=Limits(pixels=1_000_000), metrics=self.metrics)
        self.pipeline = Pipeline(
            choice=ModelChoice(
                *(self.models, self.routing, imaging, self.metrics, self.canaries),
                silences=silences_on(objects),
            ),
            inference=Inference(client, self.models, self.metrics),
            imaging=imaging,
            results=self.results,
            promises=promises_on(objects),
            shadows=self.shadows,
            canaries=self.canaries,
            minutes=self.minutes,
            steps=self.steps,
            metrics=self.metrics,
            pseudonyms=Pseudonyms("key"),
            recorder=self.told,
        )

    async def read(
        self, *images: bytes, seconds: float = 30, awaited: bool = False, **fields: Any
    ) -> Answer:
        deadline = Deadline.after(seconds)
        return await self.pipeline.process(study(*images, **fields), deadline, awaited=awaited)

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"radstream_{name}", labels) or 0


def routing(*rules: dict[str, Any], **parts: Any) -> Routing:
    """The routing of a document with these rules."""
    document = {"schema": "radstream.routing/1", "rules": rules} | parts
    return Routing(RoutingDocument.model_validate(document))


def study(*images: bytes, **fields: Any) -> Study:
    document = {
        "study_id": f"S-{secrets.token_hex(8)}",
        "view": "AP",
        "timestamp": "2026-01-31T12:00:00Z",
    }
    metadata = StudyMetadata.model_validate(document | fields)
    return Study(
        images=tuple(StudyImage(f"image[{i}]", data, metadata) for i, data in enumerate(images)),
        route=Route.REST,
        received_at=dt.datetime.now(dt.UTC),
    )


@asynccontextmanager
async def piped(
    url: str, objects: ObjectStore, routing: Routing | None = None
) -> AsyncIterator[Parts]:
    client = TritonClient(url, message_bytes=2**24)
    try:
        parts = Parts(client, objects, routing)
        await parts.models.refresh()
        yield parts
    finally:
        await client.close()


Scripted = tuple[ScriptedTriton, Parts]


LOGITS = np.zeros((1, 1), np.float32)
