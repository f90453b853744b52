"""Registries of models, and studies to choose by."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.errors import BackendDiedError
from gateway.models.acceptances import Acceptances
from gateway.models.registry import ModelRegistry
from gateway.observability.metrics import Metrics
from gateway.schemas.metadata import StudyMetadata
from gateway.triton.client import TritonClient
from gateway.triton.protocol import TritonHost
from tests.support.inference import ScriptedTriton

DIED = BackendDiedError("the backend of brightness died", "brightness_0")


@asynccontextmanager
async def registered(
    url: str,
    *,
    refresh_s: float = 5.0,
    probe_timeout_s: float = 10.0,
    waiting_limit: int = 32,
    acceptances: Acceptances | None = None,
    host: TritonHost | None = None,
    asks_contracts: Callable[[], bool] = lambda: True,
) -> AsyncIterator[ModelRegistry]:
    client = TritonClient(url, message_bytes=2**20)
    try:
        yield ModelRegistry(
            client,
            Metrics(CollectorRegistry()),
            refresh_s=refresh_s,
            probe_timeout_s=probe_timeout_s,
            waiting_limit=waiting_limit,
            acceptances=acceptances,
            host=host,
            asks_contracts=asks_contracts,
        )
    finally:
        await client.close()


@asynccontextmanager
async def watched(registry: ModelRegistry) -> AsyncIterator[None]:
    task = asyncio.create_task(registry.watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def study(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


READY = ("ready", "")


def states(registry: ModelRegistry) -> dict[str, tuple[str, str]]:
    return {f"{s.name} {s.version}": (s.state.value, s.reason) for s in registry.states()}


Scripted = tuple[ScriptedTriton, ModelRegistry]
