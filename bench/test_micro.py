"""The parts of a study's way, one by one.

    pytest bench/test_micro.py --benchmark-autosave          keeps the figures under .benchmarks/
    pytest bench/test_micro.py --benchmark-compare           shows them beside the last ones kept

The figures are this machine's, for comparing one commit with another on it. `bench.compare` makes
them ratios to `test_calibration` and shows them beside those of another machine.
"""

import asyncio
import datetime as dt
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from pytest_benchmark.fixture import BenchmarkFixture
from starlette.requests import Request

from bench.serving.work import large_jpeg
from gateway.access.callers import ANONYMOUS
from gateway.console.pages import page
from gateway.console.study_query import AskedStudies, FoundStudies
from gateway.http.requests.multipart import split
from gateway.observability.metrics import Metrics
from gateway.results.links import Links
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import Status
from gateway.search.entries import IndexEntry
from gateway.storage.folder import FolderStore
from gateway.telemetry.journal import Journal
from gateway.telemetry.spool import Spool
from gateway.telemetry.telemetry import Telemetry
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from preprocess import Aspect, FullRange, InputSpec, Resample, decode, to_tensor
from tests.support.models import write_repository
from tests.support.telemetry import MemorySink, event

BOUNDARY = "boundary"
DOCUMENT = b"x" * 1500


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Grey, 2048x2500, 1.4 MB."""
    path = tmp_path_factory.mktemp("work") / "large.jpg"
    large_jpeg(path)
    return path.read_bytes()


def test_calibration(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: sum(number * number for number in range(20_000))) == 2666466670000


def test_decode_jpeg(benchmark: BenchmarkFixture, jpeg: bytes) -> None:
    [frame] = benchmark(decode, jpeg)
    assert frame.samples.shape == (2500, 2048)


def test_decode_png(benchmark: BenchmarkFixture, jpeg: bytes) -> None:
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    [frame] = benchmark(decode, cv2.imencode(".png", grey)[1].tobytes())
    assert frame.samples.shape == (2500, 2048)


@pytest.mark.parametrize("method", list(Resample))
def test_tensor(benchmark: BenchmarkFixture, jpeg: bytes, method: Resample) -> None:
    [frame] = decode(jpeg)
    spec = InputSpec(
        rows=224,
        columns=224,
        channels=1,
        resample=method,
        aspect=Aspect.STRETCH,
        intensity=FullRange(),
        output_range=(0.0, 1.0),
    )
    assert benchmark(to_tensor, frame, spec).shape == (1, 224, 224)


def test_multipart(benchmark: BenchmarkFixture, jpeg: bytes) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"\r\n\r\n'.encode()
    body = bytearray(head + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode())
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    [part] = benchmark(split, body, content_type, limit=4)
    assert len(part.data) == len(jpeg)


def test_console_page(benchmark: BenchmarkFixture) -> None:
    """The page of 50 studies; 100 ms of CPU are its budget, on any machine that serves studies."""
    now = dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC)
    entries = tuple(
        IndexEntry(
            study_id=f"{number:064d}",
            received_at=now,
            changed_at=now,
            state=Status.COMPLETED,
            patient_id=f"P-{number}",
            accession_number=f"A-{number}",
            modalities=("DX",),
            body_parts=("CHEST",),
            senders=("ward-3",),
            images=2,
            positive=("pneumonia",),
        )
        for number in range(50)
    )
    values = {
        "asked": AskedStudies(),
        "found": FoundStudies(entries, (), None, None),
        "faults": (),
        "states": list(Status),
        "labels": ["pneumonia"],
    }
    scope = {"type": "http", "method": "GET", "path": "/console/studies"}
    request = Request(scope | {"query_string": b"", "headers": []})
    whole: Any = SimpleNamespace(links=Links(""), tenant=None)
    whole.of = lambda _: whole
    shown = benchmark(lambda: page(request, whole, "studies", values, caller=ANONYMOUS))
    assert len(shown.body) < 200_000


def test_telemetry_enqueue(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry())
    spool = Spool(tmp_path, limit_bytes=0)
    telemetry = Telemetry(
        MemorySink(),
        spool,
        Journal(tmp_path),
        metrics,
        queue_bytes=1 << 40,
        linger_s=1.0,
        drain_s=0.0,
    )
    benchmark(lambda: telemetry.emit(event()))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """An event loop that lives as long as the server and its client."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def triton(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedTriton]:
    """A real Triton over a model that costs next to nothing."""
    server = EmbeddedTriton(write_repository(tmp_path_factory.mktemp("models")))
    runner.run(server.start())
    yield server
    runner.run(server.stop())


def test_grpc_call(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, triton: EmbeddedTriton
) -> None:
    client = TritonClient(triton.grpc_url, message_bytes=1 << 24)
    config = runner.run(client.model_config("brightness", "1", deadline=Deadline.after(10)))
    [tensor] = config.inputs
    array = np.zeros((1, *tensor.shape[-3:]), dtype=np.float32)
    names = [output.name for output in config.outputs]

    def call() -> object:
        return runner.run(
            client.infer(
                "brightness", "1", {tensor.name: array}, names, deadline=Deadline.after(10)
            )
        )

    assert benchmark(call)
    runner.run(client.close())


@pytest.fixture(scope="module")
def store(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """The object store of one machine, with nothing in it."""
    store = FolderStore(tmp_path_factory.mktemp("store"))
    runner.run(store.open())
    return store


def test_store_create(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, store: FolderStore
) -> None:
    keys = (f"results/C-{number}/result.json" for number in count())
    assert benchmark(lambda: runner.run(store.create(next(keys), DOCUMENT, media_type="")))


def test_store_replace(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, store: FolderStore
) -> None:
    benchmark(lambda: runner.run(store.replace("results/R/result.json", DOCUMENT, media_type="")))


def test_store_read(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, store: FolderStore
) -> None:
    runner.run(store.create("results/O/result.json", DOCUMENT, media_type=""))
    assert benchmark(lambda: runner.run(store.read("results/O/result.json"))) == DOCUMENT


def test_store_keys(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, store: FolderStore
) -> None:
    keys = [f"results/K/images/1/{name}" for name in ("image.jpg", "model-1.heatmap.png")]
    for key in keys:
        runner.run(store.create(key, DOCUMENT, media_type=""))
    assert benchmark(lambda: runner.run(store.keys("results/K/images/"))) == keys
