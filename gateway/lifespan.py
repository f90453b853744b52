"""Opens what the gateway stands on, in order, and closes it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway.clients.folder import FolderStore
from gateway.clients.triton import TritonClient
from gateway.logs import Pseudonyms
from gateway.routers.dependencies import Gateway
from gateway.services.imaging import Imaging
from gateway.services.intake import Intake
from gateway.services.models import ModelRegistry
from gateway.services.pipeline import Pipeline
from gateway.services.results import ResultStore
from preprocess import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from gateway.metrics import Metrics
    from gateway.services.health import Health
    from gateway.settings import Settings

log = structlog.get_logger()


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
        objects = FolderStore(settings.store.folder)
        await objects.open()
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
        )
        intake = Intake(imaging, metadata_bytes=settings.limits.metadata_bytes)
        results = ResultStore(objects)
        secret = settings.telemetry.study_ref_key
        pipeline = Pipeline(
            models=models,
            inference=triton,
            imaging=imaging,
            results=results,
            metrics=metrics,
            pseudonyms=Pseudonyms(secret.get_secret_value() if secret else None),
        )
        log.info("gateway.open", triton=settings.triton.url, ready=models.ready())
        yield Gateway(settings, metrics, health, models, intake, imaging, results, pipeline)
        log.info("gateway.closing")


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
