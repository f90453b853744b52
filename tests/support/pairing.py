"""The drop folder's pairing over stores in memory, before a pipeline that only counts."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.admission.tenant_quota import TenantQuota
from gateway.app.lifespan.context import LifespanContext
from gateway.app.lifespan.dropfolder import make_drop_folder
from gateway.app.lifespan.processing import Processing
from gateway.app.lifespan.storage import StudyStorage
from gateway.audit.trail import Audit
from gateway.deferred.submitted_images import SubmittedImages
from gateway.dropfolder.delivery import Deliveries, DropFolder
from gateway.dropfolder.objects import Inbox
from gateway.dropfolder.pair_records import PairRecords
from gateway.dropfolder.parked_objects import ParkedObjects
from gateway.dropfolder.sweep import DropFolderSweep
from gateway.dropfolder.waiting import WaitingHalves
from gateway.errors import ObjectNotFoundError, RadStreamError
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.observability.tracing import NO_TRACER
from gateway.problems import problem_of
from gateway.renderings.reports import Reports
from gateway.results.documents import FrameReading, Reading, StudyRecord
from gateway.results.held_studies import HeldStudies
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.results.tombstones import Tombstones
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.in_force import Routing
from gateway.runtime.deadline import Deadline
from gateway.runtime.health import Health
from gateway.schemas.events import Delivery
from gateway.schemas.result import Finding, ModelVersion, Status, StudyResult
from gateway.settings import HttpSettings, Settings
from gateway.storage.protocol import ObjectStore
from gateway.studies.answer import Answer
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.model_choice import ModelChoice
from gateway.studies.process import StudyPipeline, StudyProcessor
from gateway.studies.study import Route, Study
from gateway.work.claims import Claims
from gateway.work.parked import Parking
from gateway.work.parked_operations import ParkedOperations
from gateway.work.turns import Steps
from preprocess import Frame, Limits
from tests.support.audit import Trail
from tests.support.completion import completions_on
from tests.support.deletion import deletion_on
from tests.support.models import flat_png
from tests.support.monitoring import silences_on
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore
from tests.support.telemetry import Told
from tests.support.work import promises_on, submissions_on

if TYPE_CHECKING:
    from gateway.app.lifespan.monitoring import Monitoring
    from gateway.deferred.shadow_readings import ShadowReadings
    from gateway.models.acceptances import Acceptances
    from gateway.models.registry import ModelRegistry
    from gateway.pictures.pictures import Pictures
    from gateway.routing.roll_back import RollBacks


@dataclass
class Readings:
    """Inferences of the double of the pipeline, and errors that it shall raise, once each."""

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

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        del awaited
        [image] = study.images
        sha256 = hashlib.sha256(image.data).hexdigest()
        key = f"results/{study.metadata.study_id}/{sha256}"
        result = StudyResult(
            study_id=study.metadata.study_id,
            status=Status.COMPLETED,
            received_at=dt.datetime.now(dt.UTC),
        )
        record = StudyRecord(study_id=result.study_id, changed_at=result.received_at)
        try:
            await self._objects.read(key)
        except ObjectNotFoundError:
            if self._readings.errors:
                raise self._readings.errors.pop() from None
            self._readings.inferences[key] += 1
            async with deadline.bounds("study"):
                await self._turn()
            await self._objects.create(key, b"", media_type="text/plain")
            return Answer(result, replayed=False, record=record)
        return Answer(result, replayed=True, record=record)


MODEL = ModelVersion(name="brightness", version="1")


class StoringPipeline:
    """Keeps readings in the studies' documents as the pipeline does, made without any model.

    Bytes that begin with "positive" are.
    """

    def __init__(
        self, results: ResultStore, readings: Readings, turn: Callable[[], Awaitable[None]]
    ) -> None:
        self._results = results
        self._readings = readings
        self._turn = turn

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        del deadline, awaited
        [image] = study.images
        study_id, sha256 = study.metadata.study_id, hashlib.sha256(image.data).hexdigest()
        known, found = await self._results.known(study.metadata, study.seen), None
        if sha256 in known.read_by(MODEL):
            found = await self._results.reading(study_id, known, sha256, MODEL)
        images = [] if found else [NewImage(sha256, "image/png", image.data, image.object)]
        writes = self._results.write_images(study_id, images)
        made = found
        if made is None and self._readings.errors:
            await writes.remove()
            raise self._readings.errors.pop()
        if made is None:
            self._readings.inferences[f"{study_id}/{sha256}"] += 1
            await self._turn()
            made = _reading(study, sha256, writes.names[0])
        await writes.done()
        request = Request(
            study.metadata,
            study.received_at,
            fresh=() if found else (made,),
            processed={image.part: made},
            alone=True,
            submission=study.submission,
        )
        added = await self._results.add(study_id, known, request)
        await writes.remove(kept={reading.object for reading in added.readings})
        return Answer(
            added.result,
            replayed=found is not None,
            readings=added.readings,
            record=added.record,
        )


def _reading(study: Study, sha256: str, name: str) -> Reading:
    [image] = study.images
    positive = bytes(image.data).startswith(b"positive")
    finding = Finding(label="bright", probability=0.5, threshold=0.5, positive=positive)
    return Reading(
        study_id=study.metadata.study_id,
        sha256=sha256,
        media_type="image/png",
        object=name,
        model=MODEL,
        received_at=study.received_at,
        completed_at=study.received_at,
        timings_ms={},
        warnings=(),
        metadata={"view": "AP"},
        frames=(FrameReading(rows=1, columns=1, bits_stored=8, findings=(finding,)),),
        dropped_as=study.dropped_as,
    )


def results_on(objects: ObjectStore) -> ResultStore:
    """Return the studies as a gateway has them that was just started."""
    return ResultStore(objects, StudyDocuments(objects))


class NoPictures:
    """Draws nothing, as there are no activation maps, and stores that for each new reading.

    Of the counting pipeline there are no readings either.
    """

    def __init__(self, results: ResultStore) -> None:
        self._results = results

    async def store_heatmaps(
        self,
        study_id: str,
        sha256: str,
        data: bytes,
        fresh: Sequence[Reading],
        decoded: Sequence[Frame],
    ) -> None:
        del data, decoded
        if not fresh:
            await self._results.without_heatmap(study_id, sha256)
        for reading in fresh:
            await self._results.add_heatmap(reading, 0, b"")


# Asked only where a sender waits.
NO_MODELS = cast("ModelRegistry", None)


async def no_turn() -> None:
    """Goes on at once."""


@dataclass
class DropFolderGateway:
    """One gateway's drop folder: its deliveries, its sweep and an operator's retries."""

    folder: DropFolder
    sweeping: DropFolderSweep
    parking: Parking
    metrics: Metrics

    def __post_init__(self) -> None:
        self.deliver = Deliveries(self.folder).deliver
        self.sweep = self.sweeping.sweep

    @property
    def parked(self) -> ParkedOperations:
        return ParkedOperations(self.parking, [ParkedObjects(self.folder)])

    async def retry(self, parked_id: str) -> Delivery:
        return await self.parked.retry(parked_id)

    async def discard(self, parked_id: str) -> None:
        await self.parked.discard(parked_id)


def gateway_on(
    objects: ObjectStore,
    dropped: MemoryStore,
    readings: Readings,
    *,
    turn: Callable[[], Awaitable[None]] = no_turn,
    pipeline: StudyPipeline | None = None,
    trail: Trail | None = None,
    timeout_s: float = 20.0,
    waiting_deadline_s: float = 3600.0,
    image_bytes: int = 10_000,
    routing: Routing | None = None,
    quota: TenantQuota | None = None,
) -> DropFolderGateway:
    """One gateway's drop folder."""
    metrics, pseudonyms = Metrics(CollectorRegistry()), Pseudonyms("key")
    imaging = Imaging(threads=2, limits=Limits(), metrics=metrics)
    audit = Audit(trail or Trail(), metrics, instance="here")
    deletion, results = deletion_on(objects), results_on(objects)
    parking, waiting = Parking(objects, problem_of), WaitingHalves(objects)
    admission = Admission(bytes_limit=2**20, studies_limit=16, pictures_limit=16, metrics=metrics)
    inbox = Inbox(
        dropped,
        prefix="images/",
        route=Route.EVENT,
        image_bytes=image_bytes,
        metadata_bytes=1000,
    )
    records = PairRecords(inbox, waiting, parking, results, deletion)
    storage = StudyStorage(
        *(objects, results, parking, records, inbox, deletion),
        submissions=StudySubmissions(StudyDocuments(objects)),
        completions=completions_on(objects),
        held=HeldStudies(StudyDocuments(objects), parking),
        documents=StudyDocuments(objects),
        index=IndexingGateway(objects).index,
        presence=None,
        watched=None,
    )
    studies = StudyProcessor(
        admission=admission,
        models=NO_MODELS,
        intake=Intake(imaging, Told(), metadata_bytes=1000),
        pipeline=pipeline or CountingPipeline(objects, readings, turn),
        audit=audit,
        quota=quota,
    )
    pictures = cast("Pictures", NoPictures(results))
    images = SubmittedImages(objects, StudyDocuments(objects))
    processing = Processing(
        admission=admission,
        acceptances=cast("Acceptances", None),  # no route asks
        monitoring=cast("Monitoring", None),
        models=NO_MODELS,
        choice=ModelChoice(
            *(NO_MODELS, Routing(), imaging, metrics, CanaryWatch(Routing(), objects)),
            silences=silences_on(objects),
        ),
        promises=promises_on(objects),
        images=images,
        submissions=submissions_on(objects, images, Claims(lease_s=30)),
        imaging=imaging,
        steps=Steps(2),
        studies=studies,
        quota=quota,
        pictures=pictures,
        reports=Reports(results, imaging, pictures, Tombstones(objects)),
        routing=routing or Routing(),
        shadows=cast("ShadowReadings", None),  # nothing runs beside
        roll_backs=cast("RollBacks", None),
    )
    settings = Settings(http=HttpSettings(request_timeout_s=timeout_s))
    context = LifespanContext(settings, metrics, Health(), NO_TRACER, pseudonyms, AsyncExitStack())
    folder = make_drop_folder(context, storage, processing, audit)
    sweep = DropFolderSweep(
        folder,
        waiting_deadline_s=waiting_deadline_s,
        count=metrics.dropfolder.keep_waiting,
    )
    return DropFolderGateway(folder, sweep, parking, metrics)


def sidecar(study_id: str, **changes: Any) -> bytes:
    """A valid document."""
    document = {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    return json.dumps(document | changes).encode()


IMAGE, SIDECAR = "images/S1/a.png", "images/S1/a.json"
PNG = flat_png(200)


def put(dropped: MemoryStore, **files: bytes) -> None:
    """`a_png=` is put as images/S1/a.png."""
    for name, data in files.items():
        dropped.objects[f"images/S1/{name.replace('_', '.')}"] = data


def left_of(objects: MemoryStore, *prefixes: str) -> list[str]:
    """Keys of waiting halves and parked items, of which each has its mark beside the halves."""
    marks = [key for key in objects.objects if key.endswith("-parked.json")]
    if not prefixes:
        ids = [f"{pair[:16]}{name[:16]}" for *_, pair, name in (key.split("/") for key in marks)]
        parked = [key for key in objects.objects if key.startswith("parked/")]
        assert sorted(f"parked/{parked_id}.json" for parked_id in ids) == sorted(parked)
    state = prefixes or ("pairing/waiting/", "parked/")
    return [key for key in objects.objects if key.startswith(state) and key not in marks]


def problem(delivery: Delivery) -> str:
    [item] = delivery.parked
    return item.problem.type.removeprefix("urn:radstream:problem:")
