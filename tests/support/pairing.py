"""The drop folder's pairing over stores in memory, before a pipeline that only counts."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.dropfolder.objects import Inbox
from gateway.dropfolder.pairing import LEASES, Pairing
from gateway.dropfolder.parked_images import ParkedImages
from gateway.dropfolder.waiting import WaitingHalves
from gateway.errors import ObjectNotFoundError, RadStreamError
from gateway.observability.logs import Pseudonyms
from gateway.observability.metrics import Metrics
from gateway.problems import problem_of
from gateway.results.documents import Reading
from gateway.results.store import ResultStore
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import Status, StudyResult
from gateway.storage.protocol import ObjectStore
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.pipeline import Answer, Pipeline
from gateway.studies.study import Route, Study
from gateway.work.leases import Leases
from gateway.work.parked import Parking
from preprocess import Limits
from tests.support.deletion import deletion_on
from tests.support.store import MemoryStore
from tests.support.telemetry import Told

if TYPE_CHECKING:
    from gateway.pictures.pictures import Pictures


@dataclass
class Readings:
    """What the double of the pipeline did, and what it shall raise, once each."""

    inferences: Counter[str] = field(default_factory=Counter)
    errors: list[RadStreamError] = field(default_factory=list)


class CountingPipeline:
    """Keeps the pipeline's promise: an image is read once, then answered from the store."""

    def __init__(
        self, objects: ObjectStore, readings: Readings, turn: Callable[[], Awaitable[None]]
    ) -> None:
        self._objects = objects
        self._readings = readings
        self._turn = turn

    async def process(self, study: Study, deadline: Deadline) -> Answer:
        [image] = study.images
        sha256 = hashlib.sha256(image.data).hexdigest()
        key = f"results/{study.metadata.study_id}/{sha256}"
        result = StudyResult(
            study_id=study.metadata.study_id,
            status=Status.COMPLETED,
            received_at=dt.datetime.now(dt.UTC),
        )
        try:
            await self._objects.read(key)
        except ObjectNotFoundError:
            if self._readings.errors:
                raise self._readings.errors.pop() from None
            self._readings.inferences[key] += 1
            async with deadline.bounds("study"):
                await self._turn()
            await self._objects.create(key, b"", media_type="text/plain")
            return Answer(result, replayed=False)
        return Answer(result, replayed=True)


class NoPictures:
    """Draws nothing: the counting pipeline keeps no readings to draw of."""

    async def store_heatmaps(
        self, study_id: str, sha256: str, data: bytes, fresh: Sequence[Reading]
    ) -> None:
        del study_id, sha256, data, fresh


async def no_turn() -> None:
    """Goes on at once."""


def gateway_on(
    objects: ObjectStore,
    dropped: MemoryStore,
    readings: Readings,
    *,
    turn: Callable[[], Awaitable[None]] = no_turn,
    lease_s: float = 30.0,
    patience_s: float = 5.0,
    timeout_s: float = 20.0,
    waiting_deadline_s: float = 3600.0,
    image_bytes: int = 10_000,
) -> Pairing:
    """One gateway's pairing."""
    imaging = Imaging(threads=2, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    deletion, parking = deletion_on(objects), Parking(objects, problem_of)
    return Pairing(
        inbox=Inbox(
            dropped,
            prefix="images/",
            route=Route.EVENT,
            image_bytes=image_bytes,
            metadata_bytes=1000,
        ),
        objects=objects,
        intake=Intake(imaging, Told(), metadata_bytes=1000),
        pipeline=cast("Pipeline", CountingPipeline(objects, readings, turn)),
        pictures=cast("Pictures", NoPictures()),
        imaging=imaging,
        leases=Leases(objects, root=LEASES, lease_s=lease_s, patience_s=patience_s),
        waiting=WaitingHalves(objects),
        parking=parking,
        parked_images=ParkedImages(parking, ResultStore(objects), deletion),
        deletion=deletion,
        metrics=Metrics(CollectorRegistry()),
        pseudonyms=Pseudonyms("key"),
        timeout_s=timeout_s,
        waiting_deadline_s=waiting_deadline_s,
        admission=Admission(
            bytes_limit=2**20,
            studies_limit=16,
            pictures_limit=16,
            metrics=Metrics(CollectorRegistry()),
        ),
    )


def sidecar(study_id: str, **changes: Any) -> bytes:
    """A valid document."""
    document = {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    return json.dumps(document | changes).encode()
