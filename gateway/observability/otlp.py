"""Spans, recorded and sent to a collector over OTLP/HTTP where the settings ask for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gateway import __version__
from gateway.observability.tracing import NO_TRACER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from gateway.settings import TracingSettings

log = structlog.get_logger()

# A study makes about nine spans; what does not fit is dropped and logged, never waited for.
_QUEUE_SPANS = 4096
_BATCH_SPANS = 512
_LINGER_MS = 1000
# Of one request to the collector, repetitions included.
_EXPORT_TIMEOUT_S = 5.0
# What the collector may take at the end. Spans left then are lost.
_FLUSH_S = 3.0
_SILENCE_S = 60.0
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Tracing:
    """A tracer from the start, whose spans go somewhere while the block of `exporting` runs.

    Parameters
    ----------
    settings
        Of the traces.
    """

    def __init__(self, settings: TracingSettings) -> None:
        self._settings = settings
        self._provider = None if settings.kind == "none" else _provider(settings)
        self.tracer: Tracer = (
            self._provider.get_tracer("radstream", __version__) if self._provider else NO_TRACER
        )

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[None]:
        """Send spans in the background; what is left at the end as far as a few seconds allow."""
        if self._provider is None:
            yield
            return
        exporter, seldom = logging.getLogger(_EXPORTER), _OnceAMinute()
        exporter.addFilter(seldom)
        _send(self._provider, self._settings.endpoint)
        try:
            yield
        finally:
            await _within(_FLUSH_S, self._provider)
            exporter.removeFilter(seldom)


class _OnceAMinute(logging.Filter):
    """A log filter that passes one report a minute of a collector's absence."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, _record: logging.LogRecord) -> bool:
        """Return True if a minute has passed since the last record that was let through."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _SILENCE_S
        return True


def _provider(settings: TracingSettings) -> TracerProvider:
    # The extra: imported only where it is asked for, as the settings made sure it is there.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415 - above

    return TracerProvider(
        resource=Resource.create(
            {
                "service.name": "radstream",
                "service.version": __version__,
                "service.instance.id": socket.gethostname(),
            }
        ),
        sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
        shutdown_on_exit=False,  # `exporting` does it, and does not wait for ever
    )


def _send(provider: TracerProvider, endpoint: str) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see above
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above

    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint, timeout=_EXPORT_TIMEOUT_S),
            max_queue_size=_QUEUE_SPANS,
            max_export_batch_size=_BATCH_SPANS,
            schedule_delay_millis=_LINGER_MS,
        )
    )


async def _within(seconds: float, provider: TracerProvider) -> None:
    """Flush and close; a collector that hangs is left to a thread that ends with the process."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def shut_down() -> None:
        provider.shutdown()
        with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(over.set)

    threading.Thread(target=shut_down, name="tracing-flush", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        log.warning("tracing.flush_timeout", after_s=seconds)
