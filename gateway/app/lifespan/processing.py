"""Opens what is on the way of a study, from its admission to its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admission.admission import Admission
from gateway.admission.day_counts import TenantDay
from gateway.admission.idle_turns import IdleTurns
from gateway.admission.tenant_quota import TenantQuota
from gateway.app.lifespan.monitoring import open_monitoring
from gateway.app.lifespan.telemetry import open_telemetry
from gateway.app.spool_folders import left_spools
from gateway.deferred.settled_work import SettlingPipeline
from gateway.deferred.shadow_readings import ShadowReadings
from gateway.deferred.submitted_images import SubmittedImages
from gateway.models.acceptances import Acceptances
from gateway.models.registry import ModelRegistry
from gateway.pictures.pictures import Pictures
from gateway.problems import problem_of
from gateway.renderings.reports import Reports
from gateway.results.shadows import Shadows
from gateway.results.tombstones import Tombstones
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.roll_back import RollBacks
from gateway.storage.layout import READINGS, SUBMISSIONS
from gateway.studies.imaging import Imaging
from gateway.studies.inference import Inference
from gateway.studies.intake import Intake
from gateway.studies.model_choice import ModelChoice
from gateway.studies.owed_readings import ReadingPromises
from gateway.studies.pipeline import Pipeline
from gateway.studies.process import StudyProcessor
from gateway.studies.recorder import StudyRecorder
from gateway.studies.shadow_queue import ShadowQueue
from gateway.triton.client import TritonClient
from gateway.triton.restart_flag import RestartFlag
from gateway.work.claims import CLOCK_SKEW_S, Claims
from gateway.work.documents import OwedReadings, Submission
from gateway.work.entries import Entries
from gateway.work.turns import Steps
from preprocess import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.monitoring import Monitoring
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.app.lifespan.stores import Stores
    from gateway.audit.trail import Audit
    from gateway.monitoring.minutes import MinuteCounts
    from gateway.routing.in_force import Routing
    from gateway.schemas.reading_event import Event
    from gateway.triton.protocol import InferenceServer

# One caller alone gets half: more than the six that a browser asks for at once, on any machine.
_PICTURES_A_THREAD = 16


@dataclass(frozen=True, slots=True)
class Processing:
    """The parts that every study passes through, wherever it comes in, and those that show it."""

    admission: Admission
    acceptances: Acceptances
    monitoring: Monitoring
    models: ModelRegistry
    choice: ModelChoice
    promises: ReadingPromises
    images: SubmittedImages
    submissions: Entries[Submission]
    imaging: Imaging
    steps: Steps
    studies: StudyProcessor
    quota: TenantQuota | None
    pictures: Pictures
    reports: Reports
    routing: Routing
    shadows: ShadowReadings
    roll_backs: RollBacks


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of the way that know nothing of any study: all tenants share them.

    Parameters
    ----------
    admission, acceptances, models, inference, imaging, steps
        Limits, models and their acceptances, what runs them and decodes, and the turns of that.
    emit
        Takes events of telemetry.
    monitoring
        Counts readings, and knows which models are silent.
    """

    admission: Admission
    acceptances: Acceptances
    models: ModelRegistry
    inference: Inference
    imaging: Imaging
    steps: Steps
    emit: Callable[[Event], None]
    monitoring: Monitoring


async def open_engine(
    context: LifespanContext, stores: Stores, audit: Audit, routing: Routing
) -> Engine:
    """Open what studies are processed by. A Triton that does not answer is waited for.

    What is kept of models is kept of all tenants together.
    """
    settings, metrics = context.settings, context.metrics
    triton = _triton(context)
    acceptances = Acceptances(stores.objects, required=settings.models.require_acceptance)
    models = await _models(context, triton, acceptances, routing)
    imaging = _imaging(context)
    monitoring = await open_monitoring(context, stores, audit, routing)
    emit = await _emit(context, monitoring.minutes)
    admission = Admission(
        bytes_limit=settings.admission.bytes,
        studies_limit=settings.admission.studies,
        pictures_limit=_PICTURES_A_THREAD * settings.limits.image_threads,
        background_share=settings.admission.background_share,
        metrics=metrics,
    )
    inference = Inference(triton, models, metrics)
    steps = Steps(settings.limits.image_threads)
    return Engine(admission, acceptances, models, inference, imaging, steps, emit, monitoring)


def make_processing(
    context: LifespanContext,
    engine: Engine,
    storage: StudyStorage,
    audit: Audit,
    routing: Routing,
) -> Processing:
    """Return the way that ends in `storage`."""
    settings, metrics = context.settings, context.metrics
    models, imaging, admission = engine.models, engine.imaging, engine.admission
    recorder = _recorder(context, engine)
    canaries = CanaryWatch(routing, storage.objects)
    quota = _quota(context, storage, routing)
    choice = ModelChoice(
        *(models, routing, imaging, metrics, canaries), silences=engine.monitoring.silences
    )
    claims = _claims(context, storage)
    promises = ReadingPromises(
        Entries(storage.objects, kind=READINGS, document=OwedReadings, claims=claims)
    )
    images = SubmittedImages(storage.objects, storage.documents)
    submissions = Entries(
        storage.objects, kind=SUBMISSIONS, document=Submission, claims=claims, needs=images
    )
    inference = engine.inference
    waiting = ShadowQueue(settings.shadow.queue, metrics)
    pipeline = Pipeline(
        choice=choice,
        inference=inference,
        imaging=imaging,
        results=storage.results,
        promises=promises,
        shadows=waiting,
        canaries=canaries,
        minutes=engine.monitoring.minutes,
        steps=engine.steps,
        metrics=metrics,
        pseudonyms=context.pseudonyms,
        recorder=recorder,
    )
    pictures = Pictures(storage.results, imaging, at_once=settings.limits.image_threads)
    return Processing(
        admission=admission,
        acceptances=engine.acceptances,
        monitoring=engine.monitoring,
        models=models,
        choice=choice,
        promises=promises,
        images=images,
        submissions=submissions,
        imaging=imaging,
        steps=engine.steps,
        studies=StudyProcessor(
            admission=admission,
            models=models,
            intake=Intake(imaging, recorder, metadata_bytes=settings.limits.metadata_bytes),
            pipeline=SettlingPipeline(pipeline, storage.parking, (submissions, promises.entries)),
            audit=audit,
            quota=quota,
        ),
        quota=quota,
        pictures=pictures,
        reports=Reports(storage.results, imaging, pictures, Tombstones(storage.objects)),
        routing=routing,
        roll_backs=RollBacks(
            routing,
            canaries,
            objects=storage.objects,
            audit=audit,
            metrics=metrics,
            every_s=settings.pending.sweep_s,
        ),
        shadows=_shadows(
            context, engine, storage, recorder=recorder, waiting=waiting, canaries=canaries
        ),
    )


def _quota(context: LifespanContext, storage: StudyStorage, routing: Routing) -> TenantQuota | None:
    """Return the quota of the tenant; None without tenants."""
    if context.tenant is None:
        return None
    quota = TenantQuota(
        context.tenant,
        lambda: next(iter(routing.document.quotas), None),
        context.metrics,
        day=TenantDay(storage.objects),
        gateways=context.settings.tenancy.gateways,
    )
    context.stack.push_async_callback(quota.close)
    return quota


def _shadows(
    context: LifespanContext,
    engine: Engine,
    storage: StudyStorage,
    *,
    recorder: StudyRecorder,
    waiting: ShadowQueue,
    canaries: CanaryWatch,
) -> ShadowReadings:
    settings, admission = context.settings, engine.admission
    return ShadowReadings(
        waiting,
        turns=IdleTurns(
            lambda: admission.studies.used > 0,
            settings.shadow.share / max(1, len(settings.tenancy.tenants)),
        ),
        models=engine.models,
        imaging=engine.imaging,
        inference=engine.inference,
        results=storage.results,
        kept=Shadows(storage.objects, storage.results),
        recorder=recorder,
        metrics=context.metrics,
        canaries=canaries,
        timeout_s=settings.http.request_timeout_s,
    )


def _claims(context: LifespanContext, storage: StudyStorage) -> Claims:
    """Return the claims by which one gateway at a time is at the work of a study."""
    lease_s = context.settings.http.request_timeout_s + CLOCK_SKEW_S
    return Claims(lease_s=lease_s, presence=storage.presence)


def _triton(context: LifespanContext) -> TritonClient:
    settings = context.settings.triton
    triton = TritonClient(
        settings.url,
        message_bytes=settings.message_bytes,
        shared_memory_bytes=settings.shared_memory_bytes,
    )
    context.stack.push_async_callback(triton.close)
    return triton


async def _models(
    context: LifespanContext, server: InferenceServer, acceptances: Acceptances, routing: Routing
) -> ModelRegistry:
    settings = context.settings.triton
    host = context.triton_host
    if host is None and settings.restart_flag is not None and context.leads:
        host = RestartFlag(settings.restart_flag)
    models = ModelRegistry(
        server,
        context.metrics,
        refresh_s=settings.refresh_s,
        probe_timeout_s=settings.probe_timeout_s,
        use_ensembles=settings.placement == "triton",
        host=host,
        restart_after_s=settings.restart_after_s,
        waiting_limit=max(1, context.settings.admission.studies // 2),
        acceptances=acceptances,
        asks_contracts=lambda: routing.document.asks_contracts,
        others=context.worker,
    )
    await models.refresh()
    await context.run("models", models.watch())
    return models


def _imaging(context: LifespanContext) -> Imaging:
    settings = context.settings
    imaging = Imaging(
        metrics=context.metrics,
        threads=settings.limits.image_threads,
        limits=Limits(pixels=settings.limits.image_pixels),
        decode_timeout_s=settings.limits.decode_s,
        message_bytes=settings.triton.message_bytes,
    )
    context.stack.callback(imaging.close)
    return imaging


async def _emit(context: LifespanContext, minutes: MinuteCounts) -> Callable[[Event], None]:
    telemetry = await context.stack.enter_async_context(
        open_telemetry(
            context.settings.telemetry,
            context.metrics,
            left_spools(context.settings) if context.leads else (),
        )
    )

    def emit(event: Event) -> None:
        telemetry(event)
        minutes.count(event)

    return emit


def _recorder(context: LifespanContext, engine: Engine) -> StudyRecorder:
    return StudyRecorder(
        engine.emit,
        engine.monitoring.minutes.count,
        metrics=context.metrics,
        pseudonyms=context.pseudonyms,
        problem_of=problem_of,
        instance=context.instance,
        tracer=context.tracer,
    )
