"""Opens telemetry and its sink."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gateway.telemetry.journal import Journal
from gateway.telemetry.json_lines_sink import JsonLinesSink
from gateway.telemetry.kinesis_sink import KinesisSink, kinesis_client
from gateway.telemetry.spool import Spool
from gateway.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from gateway.observability.metrics import Metrics
    from gateway.schemas.reading_event import Event
    from gateway.settings import TelemetrySettings
    from gateway.telemetry.records import TelemetrySink


@asynccontextmanager
async def open_telemetry(
    settings: TelemetrySettings, metrics: Metrics, left: Sequence[Path] = ()
) -> AsyncIterator[Callable[[Event], None]]:
    """Yield the function that takes events.

    When the block has ended they are on their way, or in the spool.

    Parameters
    ----------
    left
        Folders of spools that no process has any more.
    """
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
            Journal(settings.spool_folder),
            metrics,
            left=[(Spool(folder, limit_bytes=0), Journal(folder)) for folder in left],
            queue_bytes=settings.queue_bytes,
            linger_s=settings.linger_ms / 1000,
            drain_s=settings.drain_s,
        )
        await stack.enter_async_context(telemetry.running())
        yield telemetry.emit
