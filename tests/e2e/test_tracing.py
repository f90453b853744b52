"""Spans of real studies, through the real gateway and the real Triton, in a real collector."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.settings import DropFolderSettings, Settings, TracingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    client_of,
    metadata,
    multipart,
    running_command,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png
from tests.support.otlp import Collector, running_collector
from tests.support.telemetry import events_in

STUDY_SPANS = {
    *("POST /v1/studies", "validate", "study", "admit", "prepare", "decode", "tensor", "infer"),
    *("store", "InferRequest", "brightness", "compute"),
}
# More than one: a span that does not reach the collector in time is lost, as the docs say.
TRACES = tuple(f"0af7651916cd43dd8448eb211c8031{number:02}" for number in range(3))
PARENT = "b7ad6b7169203331"
_COMES_WITHIN_S = 25.0
MARK = "MUSTERMANN"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
async def traced_triton(repository: Path, collector: Collector) -> AsyncIterator[EmbeddedTriton]:
    async with EmbeddedTriton(repository, trace_endpoint=collector.url) as triton:
        yield triton


def traced(settings: Settings, endpoint: str, **changes: object) -> Settings:
    tracing = TracingSettings(kind="otlp", endpoint=endpoint)
    return settings.model_copy(update={"tracing": tracing} | changes)


async def test_one_trace_goes_from_the_caller_through_every_stage_into_triton(
    traced_triton: EmbeddedTriton, collector: Collector, tmp_path: Path
):
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": traced_triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_TELEMETRY__KIND": "file",
        "RADSTREAM_TELEMETRY__FOLDER": str(tmp_path / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(tmp_path / "spool"),
        "RADSTREAM_TRACING__KIND": "otlp",
        "RADSTREAM_TRACING__ENDPOINT": collector.url,
    }
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:
            await until(lambda: _is_ready(client))
            for trace in TRACES:
                answer = await _send(client, trace)
                openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
                metrics = (await client.get("/metrics", headers=openmetrics)).text
                with suppress(TimeoutError):
                    await until(partial(_is_whole, collector, trace), _COMES_WITHIN_S)
                    break
        assert _is_whole(collector, trace), command.err[-20:]
        assert await command.stop() == 0

    spans = {span.name: span for span in collector.of(trace)}
    request = spans["POST /v1/studies"]
    assert request.parent_id == PARENT
    assert answer.headers["traceparent"] == f"00-{trace}-{request.span_id}-01"
    for outer, inner in [
        ("POST /v1/studies", "validate"),
        ("POST /v1/studies", "study"),
        ("study", "admit"),
        ("study", "prepare"),
        ("prepare", "decode"),
        ("prepare", "tensor"),
        ("study", "infer"),
        ("study", "store"),
        ("InferRequest", "brightness"),
        ("brightness", "compute"),
    ]:
        assert spans[outer].holds(spans[inner]), (outer, inner)
    # Triton ends its span when it lets go of the request, which may be after its answer came.
    assert spans["InferRequest"].parent_id == spans["infer"].span_id
    assert spans["infer"].began <= spans["InferRequest"].began <= spans["infer"].ended
    assert spans["infer"].service == "radstream"
    assert spans["InferRequest"].service == "triton-inference-server"
    assert not any(span.failed for span in spans.values())
    study = spans["study"].attributes
    assert {name: study[f"radstream.{name}"] for name in ("route", "outcome", "model", "rows")} == {
        "route": "rest",
        "outcome": "success",
        "model": "brightness",
        "rows": 6,
    }

    # The same id everywhere.
    logged = [json.loads(line) for line in command.err if '"study.completed"' in line]
    assert (trace, study["radstream.study_ref"]) in [
        (line["trace_id"], line["study_ref"]) for line in logged
    ]
    assert {line["trace_id"] for line in logged} <= {*TRACES}
    told = events_in(tmp_path / "telemetry")
    assert {trace} <= {event["trace_id"] for event in told} <= {*TRACES}
    for name in ("http_request_seconds", "stage_seconds", "study_seconds"):
        exemplars = [line for line in metrics.splitlines() if f'{{trace_id="{trace}"}}' in line]
        assert any(line.startswith(f"radstream_{name}_bucket") for line in exemplars), name

    # No trace holds what a sender wrote, and none is made for the machines that ask for health.
    assert not any(MARK.encode() in body for body in collector.bodies)
    assert not {"GET /readyz", "GET /metrics"} & {span.name for span in collector.spans}


async def _send(client: httpx.AsyncClient, trace: str) -> httpx.Response:
    """Send and fetch a study that says who sends it wherever it can."""
    image = file_of(radiograph(PatientName=MARK, PatientID=MARK, BodyPartExamined=MARK))
    study_id = f"{MARK}-{trace[-1]}"
    document = metadata(
        study_id=study_id,
        patient_id=MARK,
        body_part=MARK,
        annotations=[{"by": MARK}],
        model="brightness",
    )
    files = multipart(document, image)
    files["files"][1] = ("image", (f"{MARK}.dcm", image, "application/dicom"))
    headers = {
        "traceparent": f"00-{trace}-{PARENT}-01",
        "tracestate": f"vendor={MARK}",
        "baggage": f"patient={MARK}",
        "x-request-id": MARK,
        "user-agent": MARK,
    }
    answer = await client.post("/v1/studies", **files, headers=headers)
    assert answer.status_code == 200, answer.text
    await client.get(f"/v1/studies/{study_id}", headers=headers)
    return answer


def _is_whole(collector: Collector, trace: str) -> bool:
    return {span.name for span in collector.of(trace)} >= STUDY_SPANS


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


async def test_a_study_that_fails_shows_where(
    triton: EmbeddedTriton, collector: Collector, tmp_path: Path
):
    settings = traced(settings_for(triton.grpc_url, tmp_path / "store"), collector.url)
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        sent = multipart(metadata(), flat_png(7)[:-20])
        answer = await gateway.client.post("/v1/studies", **sent)
        assert answer.status_code == 422
    trace_id = answer.headers["traceparent"].split("-")[1]
    spans = {span.name: span for span in collector.of(trace_id)}
    assert {name for name, span in spans.items() if span.failed} == {"study", "prepare"}
    assert spans["study"].attributes["error.type"] == "UnreadableImagesError"
    assert spans["study"].attributes["radstream.outcome"] == "unreadable-image"
    assert spans["POST /v1/studies"].attributes["http.response.status_code"] == 422


async def test_a_study_that_is_answered_before_it_is_read_stays_in_its_trace(
    triton: EmbeddedTriton, collector: Collector, tmp_path: Path
):
    settings = traced(settings_for(triton.grpc_url, tmp_path / "store"), collector.url)
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        document = metadata()
        answer = await gateway.client.post(
            "/v1/studies", **multipart(document, flat_png(8)), headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202
        result = tmp_path / f"store/results/{document['study_id']}/result.json"
        await until(result.exists)
    trace_id = answer.headers["traceparent"].split("-")[1]
    spans = {span.name: span for span in collector.of(trace_id)}
    assert spans["submission"].parent_id == spans["POST /v1/studies"].span_id
    assert spans["submission"].holds(spans["study"])
    assert {event["trace_id"] for event in events_in(tmp_path / "store-telemetry")} == {trace_id}


async def test_a_dropped_study_begins_a_trace_of_its_own(
    triton: EmbeddedTriton, collector: Collector, tmp_path: Path
):
    drop = tmp_path / "drop"
    (drop / "S1").mkdir(parents=True)
    (drop / "S1/IM1.dcm").write_bytes(file_of(radiograph()))
    settings = traced(
        settings_for(triton.grpc_url, tmp_path / "store"),
        collector.url,
        dropfolder=DropFolderSettings(folder=drop, watch=True, settle_s=0.1),
    )
    async with running_gateway(settings):
        await until((tmp_path / "store/results/S1/result.json").exists)
    [trace_id] = {event["trace_id"] for event in events_in(tmp_path / "store-telemetry")}
    spans = {span.name: span for span in collector.of(trace_id)}
    assert spans["delivery"].parent_id == ""
    assert spans["delivery"].holds(spans["study"])
    assert spans["study"].attributes["radstream.route"] == "folder"
