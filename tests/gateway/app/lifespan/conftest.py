"""The context in which parts of the gateway are opened, one at a time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from gateway.app.lifespan.context import LifespanContext
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.observability.tracing import NO_TRACER
from gateway.runtime.health import Health
from tests.support.gateway import settings_for

InContext = Callable[..., LifespanContext]


@pytest.fixture
async def in_context(tmp_path: Path) -> AsyncIterator[InContext]:
    """Make a context of settings with these groups; what is opened in it is closed at the end."""
    async with AsyncExitStack() as stack:

        def make(**groups: BaseModel) -> LifespanContext:
            settings = settings_for("127.0.0.1:1", tmp_path / "store").model_copy(update=groups)
            metrics = Metrics(CollectorRegistry())
            return LifespanContext(
                settings, metrics, Health(), NO_TRACER, Pseudonyms(None), stack, instance="here"
            )

        yield make
