"""A gateway that answers studies before they are processed, on a store in memory."""

import datetime as dt
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission, Slot
from gateway.admission.tenant_quota import TenantQuota
from gateway.audit.trail import Audit
from gateway.deferred.submissions import Accepted, ProcessSubmission, Submissions
from gateway.deferred.submitted_images import SubmittedImages
from gateway.delivery.callbacks import Callbacks, CallbackStates, SendNotice
from gateway.observability.metrics import Metrics
from gateway.observability.tracing import NO_TRACER
from gateway.problems import problem_of
from gateway.results.store import ResultStore
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.in_force import Routing
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import ModelVersion
from gateway.storage.layout import CALLBACKS, SUBMISSIONS
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.model_choice import ModelChoice
from gateway.studies.process import Received, StudyProcessor, StudySource, Turn
from gateway.studies.study import Route
from gateway.work.claims import Claims
from gateway.work.documents import PendingCallback, Submission
from gateway.work.entries import Entries
from gateway.work.keys import WorkId
from gateway.work.parked import Parking
from gateway.work.turns import Steps
from gateway.work.worker import Worker
from preprocess import Limits
from tests.support.audit import Trail
from tests.support.completion import completions_on
from tests.support.deletion import deletion_on
from tests.support.models import flat_png
from tests.support.monitoring import silences_on
from tests.support.pairing import Readings, StoringPipeline, no_turn
from tests.support.store import MemoryStore
from tests.support.telemetry import Told
from tests.support.work import metadata

if TYPE_CHECKING:
    from gateway.models.registry import ModelRegistry
    from gateway.results.deletion import Deletion

HOSTS = frozenset({"ris.test"})
ANY_MODEL = ModelVersion(name="any", version="1")


class AnyModel:
    """Takes every image."""

    def select(self, *_: Any) -> Any:
        """Return a model of some name."""
        return SimpleNamespace(name="any", version="1", reference=ANY_MODEL)


class DeferredGateway:
    """One gateway that accepts studies and processes them, on a store in memory."""

    def __init__(
        self,
        objects: MemoryStore,
        *,
        routes: tuple[str, ...] = (),
        models: object = None,
        routing: Routing | None = None,
        bytes_limit: int = 2**20,
        studies_limit: int = 16,
        quota: TenantQuota | None = None,
    ) -> None:
        metrics, routing = Metrics(CollectorRegistry()), routing or Routing()
        documents = self.documents = StudyDocuments(objects)
        self.objects = objects
        self.results = ResultStore(objects, documents)
        self.states = StudySubmissions(documents)
        self.deletion: Deletion = deletion_on(objects)
        completions = completions_on(objects, documents, routes=routes)
        self.imaging = Imaging(threads=2, limits=Limits(), metrics=metrics)
        taking = cast("ModelRegistry", models or AnyModel())
        self.readings = Readings()
        self.admission = Admission(
            bytes_limit=bytes_limit,
            studies_limit=studies_limit,
            pictures_limit=16,
            metrics=metrics,
        )
        self.studies = StudyProcessor(
            admission=self.admission,
            models=taking,
            intake=Intake(self.imaging, Told(), metadata_bytes=1000),
            pipeline=StoringPipeline(self.results, self.readings, no_turn),
            audit=Audit(Trail(), metrics, instance="here"),
            quota=quota,
        )
        self.images = SubmittedImages(objects, documents)
        self.entries = Entries(
            objects,
            kind=SUBMISSIONS,
            document=Submission,
            claims=Claims(lease_s=30),
            needs=self.images,
        )
        notices = Entries(
            objects, kind=CALLBACKS, document=PendingCallback, claims=Claims(lease_s=30)
        )
        self.sent: list[bytes] = []
        self.notifier = Worker(
            notices,
            CallbackStates(self.results),
            SendNotice(self, secret="", hosts=HOSTS, metrics=metrics),
            parking=Parking(objects, problem_of),
            problem_of=problem_of,
            count=lambda _: None,
            at_once=4,
            timeout_s=20,
            sweep_s=0.02,
            give_up_s=3600,
        )
        self.callbacks = Callbacks(notices, self.notifier, hosts=HOSTS)
        self.worker = Worker(
            self.entries,
            self.states,
            ProcessSubmission(
                self.images,
                studies=self.studies,
                results=self.results,
                callbacks=self.callbacks,
                completions=completions,
                metrics=metrics,
                tracer=NO_TRACER,
            ),
            parking=Parking(objects, problem_of),
            problem_of=problem_of,
            count=lambda _: None,
            at_once=4,
            timeout_s=20,
            sweep_s=3600,
            give_up_s=3600,
        )
        self.submissions = Submissions(
            self.entries,
            self.worker,
            results=self.results,
            pending=self.states,
            completions=completions,
            choice=ModelChoice(
                *(taking, routing, self.imaging, metrics, CanaryWatch(routing, objects)),
                silences=silences_on(MemoryStore()),  # known from the start in a gateway
            ),
            imaging=self.imaging,
            steps=Steps(2),
            images=self.images,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Take a notice."""
        del url, headers
        self.sent.append(body)

    async def accept(
        self, study_id: str, grey: int = 1, callback: str | None = None, **attributes: str
    ) -> Accepted:
        document = {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}

        async def receive(_: Slot) -> Received:
            data = json.dumps(document | attributes).encode()
            return Received(data, [("image", flat_png(grey))])

        source = StudySource(Route.REST, "test", "test", Turn.AT_ONCE, receive)
        async with self.studies.admitted(source, Deadline.after(20)) as study:
            return await self.submissions.accept(study, callback)

    async def fill(self, study_id: str, count: int) -> None:
        """Have so much of a study pending."""
        for _ in range(count):
            work = WorkId.new(study_id, dt.datetime.now(dt.UTC))
            await self.states.promise(work, metadata(study_id), 1, Seen())
