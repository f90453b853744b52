"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway.clients.dropfolder import WatchedFolder
from gateway.clients.folder import FolderStore
from gateway.clients.jsonl import JsonLinesSink
from gateway.clients.kinesis import KinesisSink, kinesis_client
from gateway.clients.s3 import S3Store, encryption, s3_client
from gateway.clients.triton import TritonClient
from gateway.logs import Pseudonyms
from gateway.problems import problem_of
from gateway.routers.dependencies import Gateway
from gateway.services.claims import Claims
from gateway.services.collecting import collect, sweep_for_ever
from gateway.services.imaging import Imaging
from gateway.services.inbox import Inbox
from gateway.services.intake import Intake
from gateway.services.models import ModelRegistry
from gateway.services.outcomes import Outcomes
from gateway.services.pairing import Pairing
from gateway.services.parking import Parking
from gateway.services.pictures import Pictures
from gateway.services.pipeline import Pipeline
from gateway.services.results import ROOT as RESULTS
from gateway.services.results import ResultStore
from gateway.services.spool import Spool
from gateway.services.study import Route
from gateway.services.telemetry import Telemetry
from gateway.services.waiting import WaitingRoom
from preprocess import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from gateway.clients.protocols import ObjectStore, TelemetrySink
    from gateway.metrics import Metrics
    from gateway.schemas.telemetry import TelemetryEvent
    from gateway.services.health import Health
    from gateway.settings import Settings, TelemetrySettings

log = structlog.get_logger()

# Where the drop folder lies in its bucket.
_IMAGES = "images/"
# A claim outlives its work's deadline by more than the clocks of two gateways differ.
_CLOCK_SKEW_S = 10.0
# How long a delivery waits for the one that is at the same study now.
_PATIENCE_S = 5.0
# Images of the drop folder under way at once: one is worked on while others are fetched and stored.
_IMAGES_A_THREAD = 4


@asynccontextmanager
async def open_gateway(
    settings: Settings, metrics: Metrics, health: Health
) -> AsyncIterator[Gateway]:
    """The gateway's parts, open until the block ends.

    Raises
    ------
    StoreUnavailableError
        The store cannot be opened. A Triton that does not answer is no error: it is waited for.
    """
    async with AsyncExitStack() as stack:
        objects, dropped = await _open_stores(settings, stack)
        triton = TritonClient(
            settings.triton.url,
            message_bytes=settings.triton.message_bytes,
            shared_memory_bytes=settings.triton.shared_memory_bytes,
        )
        stack.push_async_callback(triton.close)
        models = ModelRegistry(
            triton,
            metrics,
            refresh_s=settings.triton.refresh_s,
            probe_timeout_s=settings.triton.probe_timeout_s,
            use_ensembles=settings.triton.placement == "triton",
        )
        await models.refresh()
        await stack.enter_async_context(_running(models.watch()))
        imaging = Imaging(
            threads=settings.limits.image_threads,
            limits=Limits(pixels=settings.limits.image_pixels),
            decode_timeout_s=settings.limits.decode_s,
            message_bytes=settings.triton.message_bytes,
        )
        stack.callback(imaging.close)
        secret = settings.telemetry.study_ref_key
        pseudonyms = Pseudonyms(secret.get_secret_value() if secret else None)
        outcomes = Outcomes(
            await stack.enter_async_context(open_telemetry(settings.telemetry, metrics)),
            metrics=metrics,
            pseudonyms=pseudonyms,
            problem_of=problem_of,
            instance=socket.gethostname(),
        )
        intake = Intake(imaging, outcomes, metadata_bytes=settings.limits.metadata_bytes)
        results = ResultStore(objects)
        pictures = Pictures(results, imaging)
        pipeline = Pipeline(
            models=models,
            inference=triton,
            imaging=imaging,
            results=results,
            metrics=metrics,
            pseudonyms=pseudonyms,
            outcomes=outcomes,
        )
        parking = Parking(objects, problem_of)
        timeout_s = settings.http.request_timeout_s
        pairing = Pairing(
            inbox=_inbox(settings, dropped),
            objects=objects,
            intake=intake,
            pipeline=pipeline,
            pictures=pictures,
            imaging=imaging,
            claims=Claims(objects, lease_s=timeout_s + _CLOCK_SKEW_S, patience_s=_PATIENCE_S),
            waiting=WaitingRoom(objects),
            parking=parking,
            metrics=metrics,
            pseudonyms=pseudonyms,
            timeout_s=timeout_s,
            waiting_deadline_s=settings.dropfolder.waiting_deadline_s,
            at_once=_IMAGES_A_THREAD * settings.limits.image_threads,
        )
        for work in _drop_folder_work(settings, pairing):
            await stack.enter_async_context(_running(work))
        log.info("gateway.open", triton=settings.triton.url, ready=models.ready())
        yield Gateway(
            settings,
            metrics,
            health,
            models,
            intake,
            imaging,
            results,
            pictures,
            pipeline,
            pairing,
            parking,
        )
        log.info("gateway.closing")


@asynccontextmanager
async def open_telemetry(
    settings: TelemetrySettings, metrics: Metrics
) -> AsyncIterator[Callable[[TelemetryEvent], None]]:
    """What takes events; they are on their way or in the spool when the block has ended."""
    async with AsyncExitStack() as stack:
        sink: TelemetrySink
        if settings.kind == "none":
            yield lambda _event: None
            return
        if settings.kind == "file":
            sink = JsonLinesSink(
                settings.folder,
                file_bytes=settings.file_bytes,
                folder_bytes=settings.folder_bytes,
            )
            stack.push_async_callback(sink.close)
        else:
            client = await stack.enter_async_context(
                kinesis_client(region=settings.region, endpoint=settings.endpoint)
            )
            sink = KinesisSink(client, settings.stream_name or "", timeout_s=settings.timeout_s)
        telemetry = Telemetry(
            sink,
            Spool(settings.spool_folder, limit_bytes=settings.spool_bytes),
            metrics,
            queue_bytes=settings.queue_bytes,
            linger_s=settings.linger_ms / 1000,
            drain_s=settings.drain_s,
        )
        await stack.enter_async_context(telemetry.running())
        yield telemetry.emit


async def _open_stores(
    settings: Settings, stack: AsyncExitStack
) -> tuple[ObjectStore, ObjectStore]:
    """The store of all that is kept, and the drop folder's."""
    store = settings.store
    if store.kind == "folder":
        folder = FolderStore(store.folder)
        await folder.open()
        # Never opened, which would write to it: the drop folder is its senders'.
        return folder, FolderStore(settings.dropfolder.folder)
    client = await stack.enter_async_context(
        s3_client(
            region=store.region,
            endpoint=store.endpoint,
            connections=store.connections,
            timeout_s=store.timeout_s,
        )
    )
    results, images = (
        S3Store(
            client,
            bucket,
            timeout_s=store.timeout_s,
            encryption=encryption(store.sse, store.kms_key_id),
        )
        for bucket in (store.results_bucket or "", store.images_bucket or "")
    )
    await results.open(RESULTS)
    await images.open(_IMAGES)
    return results, images


def _inbox(settings: Settings, objects: ObjectStore) -> Inbox:
    in_bucket = settings.store.kind == "s3"
    return Inbox(
        objects,
        prefix=_IMAGES if in_bucket else "",
        route=Route.EVENT if in_bucket else Route.FOLDER,
        image_bytes=settings.limits.body_bytes,
        metadata_bytes=settings.limits.metadata_bytes,
    )


def _drop_folder_work(
    settings: Settings, pairing: Pairing
) -> Iterator[Coroutine[object, object, object]]:
    """What runs beside the requests while there is a drop folder."""
    watched = settings.store.kind == "folder" and settings.dropfolder.watch
    if watched:
        folder = WatchedFolder(settings.dropfolder.folder, settle_s=settings.dropfolder.settle_s)
        at_once = _IMAGES_A_THREAD * settings.limits.image_threads
        yield collect(folder.settled(), pairing, at_once=at_once)
    if watched or settings.store.kind == "s3":
        yield sweep_for_ever(pairing, settings.dropfolder.sweep_s)


@asynccontextmanager
async def _running(work: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run the work beside the block and stop it at the block's end; its failure is raised then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
