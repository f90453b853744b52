"""Spans on their way to a collector, and a collector that is away."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.observability.otlp import Tracing
from gateway.observability.tracing import NO_TRACER
from gateway.settings import TracingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until
from tests.support.models import flat_png
from tests.support.otlp import running_collector


async def test_spans_are_sent_by_the_end_of_the_block():
    with running_collector() as collector:
        tracing = Tracing(TracingSettings(kind="otlp", endpoint=collector.url))
        async with tracing.exporting():
            with tracing.tracer.start_as_current_span("work"):
                pass
        assert [(span.service, span.name) for span in collector.spans] == [("radstream", "work")]


async def test_only_the_share_that_is_asked_for_is_sampled():
    with running_collector() as collector:
        settings = TracingSettings(kind="otlp", endpoint=collector.url, sample_ratio=0.0)
        tracing = Tracing(settings)
        async with tracing.exporting():
            with tracing.tracer.start_as_current_span("work"):
                pass
        assert collector.spans == []


async def test_nothing_is_recorded_unless_asked_for():
    tracing = Tracing(TracingSettings())
    async with tracing.exporting():
        assert tracing.tracer is NO_TRACER


@pytest.mark.parametrize("away", ["refuses", "hangs"])
async def test_a_collector_that_is_away_costs_no_study_and_holds_up_no_shutdown(
    triton: EmbeddedTriton, tmp_path: Path, caplog: pytest.LogCaptureFixture, away: str
):
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        writer.close()

    let_go = asyncio.Event()
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if away == "refuses":
        server.close()
    tracing = TracingSettings(kind="otlp", endpoint=f"http://127.0.0.1:{port}/v1/traces")
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    settings = settings.model_copy(update={"tracing": tracing})
    with capture_logs() as logs:
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            for shade in range(5):
                sent = multipart(metadata(), flat_png(shade))
                assert (await gateway.client.post("/v1/studies", **sent)).status_code == 200
    flushes = [line["event"] for line in logs if "tracing" in line["event"]]
    # What refuses may have been given up before the time was.
    assert flushes in (
        [["tracing.flush_timeout"], []] if away == "refuses" else [["tracing.flush_timeout"]]
    )
    if away == "refuses":  # it was tried again in the meantime, and told of once
        told = [line for line in caplog.records if line.name.startswith("opentelemetry.exporter")]
        assert ["Connection refused" in line.getMessage() for line in told] == [True]
    let_go.set()
    server.close()
