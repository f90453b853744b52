"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway.clients.triton import TritonClient
from gateway.lifespan.access import open_access
from gateway.lifespan.audit import open_audit
from gateway.lifespan.background import running
from gateway.lifespan.backlogs import backlog_work, make_backlogs
from gateway.lifespan.dropfolder import drop_folder_work, make_inbox, make_pairing
from gateway.lifespan.eventloop import observe_lag
from gateway.lifespan.stores import open_stores
from gateway.lifespan.telemetry import open_telemetry
from gateway.logs import Pseudonyms
from gateway.problems import problem_of
from gateway.routers.dependencies import Gateway
from gateway.services.admission import Admission
from gateway.services.callbacks import ROOT as CALLBACKS
from gateway.services.claims import CLOCK_SKEW_S
from gateway.services.deletion import Deletion
from gateway.services.imaging import Imaging
from gateway.services.intake import Intake
from gateway.services.models import ModelRegistry
from gateway.services.outcomes import Outcomes
from gateway.services.parked_work import ParkedWork
from gateway.services.parking import Parking
from gateway.services.pictures import Pictures
from gateway.services.pipeline import Pipeline
from gateway.services.results import ROOT as RESULTS
from gateway.services.results import ResultStore
from gateway.services.studies import Studies
from gateway.services.submissions import ROOT as PENDING
from gateway.services.submissions import Submissions
from gateway.services.waiting import WaitingRoom
from gateway.tracing import NO_TRACER
from preprocess import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.trace import Tracer

    from gateway.clients.protocols import InferenceServer
    from gateway.metrics import Metrics
    from gateway.services.health import Health
    from gateway.settings import Settings
    from gateway.tls import ServedCertificate

log = structlog.get_logger()

# One caller alone gets half: more than the six that a browser asks for at once, on any machine.
_PICTURES_A_THREAD = 16


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    metrics: Metrics,
    health: Health,
    tracer: Tracer = NO_TRACER,
    certificate: ServedCertificate | None = None,
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
        await stack.enter_async_context(running("event loop lag", observe_lag(metrics), health))
        instance = socket.gethostname()
        authentication = await open_access(settings.access, metrics, health, stack)
        if certificate is not None:
            following = certificate.follow(metrics)
            await stack.enter_async_context(running("certificate", following, health))
        audit = await open_audit(settings, metrics, instance, stack)
        objects, dropped = await open_stores(settings, stack)
        triton = _triton(settings, stack)
        models = _models(settings, triton, metrics)
        await models.refresh()
        await stack.enter_async_context(running("models", models.watch(), health))
        imaging = _imaging(settings, metrics, stack)
        pseudonyms = _pseudonyms(settings)
        outcomes = Outcomes(
            await stack.enter_async_context(open_telemetry(settings.telemetry, metrics)),
            metrics=metrics,
            pseudonyms=pseudonyms,
            problem_of=problem_of,
            instance=instance,
            tracer=tracer,
        )
        admission = Admission(
            bytes_limit=settings.admission.bytes,
            studies_limit=settings.admission.studies,
            pictures_limit=_PICTURES_A_THREAD * settings.limits.image_threads,
            metrics=metrics,
        )
        intake = Intake(imaging, outcomes, metadata_bytes=settings.limits.metadata_bytes)
        results = ResultStore(objects)
        pictures = Pictures(results, imaging, at_once=settings.limits.image_threads)
        parking = Parking(objects, problem_of)
        waiting = WaitingRoom(objects)
        inbox = make_inbox(settings, dropped)
        deletion = Deletion(
            objects,
            roots=(RESULTS, PENDING, CALLBACKS),
            parking=parking,
            waiting=waiting,
            inbox=inbox,
            closed_s=settings.http.request_timeout_s + CLOCK_SKEW_S,
            metrics=metrics,
            pseudonyms=pseudonyms,
        )
        pipeline = Pipeline(
            models=models,
            inference=triton,
            imaging=imaging,
            results=results,
            deletion=deletion,
            metrics=metrics,
            pseudonyms=pseudonyms,
            outcomes=outcomes,
        )
        pairing = make_pairing(
            settings,
            objects,
            inbox,
            intake=intake,
            pipeline=pipeline,
            pictures=pictures,
            imaging=imaging,
            admission=admission,
            waiting=waiting,
            parking=parking,
            deletion=deletion,
            metrics=metrics,
            pseudonyms=pseudonyms,
            tracer=tracer,
        )
        backlogs = await make_backlogs(
            settings,
            stack,
            objects,
            intake=intake,
            pipeline=pipeline,
            admission=admission,
            parking=parking,
            audit=audit,
            metrics=metrics,
            tracer=tracer,
        )
        submissions = Submissions(
            backlogs.submissions,
            results=results,
            deletion=deletion,
            models=models,
            imaging=imaging,
        )
        studies = Studies(objects, results=results, submissions=submissions, deletion=deletion)
        for name, work in (
            *drop_folder_work(settings, pairing, audit),
            *backlog_work(settings, backlogs, studies, deletion, audit),
        ):
            await stack.enter_async_context(running(name, work, health))
        log.info("gateway.open", triton=settings.triton.url, ready=models.ready())
        yield Gateway(
            settings=settings,
            metrics=metrics,
            health=health,
            admission=admission,
            authentication=authentication,
            audit=audit,
            models=models,
            intake=intake,
            results=results,
            pictures=pictures,
            pipeline=pipeline,
            pairing=pairing,
            parking=parking,
            parked_work=ParkedWork(parking, pairing, inbox, backlogs.workers()),
            submissions=submissions,
            reader=backlogs.reader,
            callbacks=backlogs.callbacks,
            studies=studies,
            deletion=deletion,
        )
        log.info("gateway.closing")


def _triton(settings: Settings, stack: AsyncExitStack) -> TritonClient:
    triton = TritonClient(
        settings.triton.url,
        message_bytes=settings.triton.message_bytes,
        shared_memory_bytes=settings.triton.shared_memory_bytes,
    )
    stack.push_async_callback(triton.close)
    return triton


def _models(settings: Settings, server: InferenceServer, metrics: Metrics) -> ModelRegistry:
    return ModelRegistry(
        server,
        metrics,
        refresh_s=settings.triton.refresh_s,
        probe_timeout_s=settings.triton.probe_timeout_s,
        use_ensembles=settings.triton.placement == "triton",
    )


def _imaging(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Imaging:
    imaging = Imaging(
        metrics=metrics,
        threads=settings.limits.image_threads,
        limits=Limits(pixels=settings.limits.image_pixels),
        decode_timeout_s=settings.limits.decode_s,
        message_bytes=settings.triton.message_bytes,
    )
    stack.callback(imaging.close)
    return imaging


def _pseudonyms(settings: Settings) -> Pseudonyms:
    secret = settings.telemetry.study_ref_key
    return Pseudonyms(secret.get_secret_value() if secret else None)
