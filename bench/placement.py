"""Cost of a large picture on its way into the model, by placement and transport.

    python bench/placement.py [ROWS COLUMNS]

Runs the embedded Triton over the repository's own models, with the ensembles built for them, and
asks it one picture at a time. Prints milliseconds a picture, median of the runs, and the ratio to
the gateway's own placement.
"""

import asyncio
import logging
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from gateway.models.build import build_placements, models_with_contract
from gateway.models.placement import call_for
from gateway.models.registry import ModelRegistry
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import validate_document
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from preprocess import Frame

RUNS = 15
WAYS = {
    "gateway": (False, 0),
    "triton, gRPC message": (True, 0),
    "triton, shared memory": (True, 1 << 26),
}
STUDY = {"study_id": "bench", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}


async def median_ms(url: str, frame: Frame, *, ensembles: bool, shared: int) -> float:
    """Milliseconds from the decoded frame to the model's answer."""
    client = TritonClient(url, message_bytes=1 << 28, shared_memory_bytes=shared)
    registry = ModelRegistry(
        client,
        Metrics(CollectorRegistry()),
        refresh_s=5,
        probe_timeout_s=10,
        use_ensembles=ensembles,
    )
    await registry.refresh()
    model = registry.select(validate_document(STUDY))
    times = []
    for _ in range(RUNS + 2):
        start = time.perf_counter()
        call = await asyncio.to_thread(call_for, model, frame)
        await client.infer(
            call.name, call.version, call.inputs, model.outputs, deadline=Deadline.after(30)
        )
        times.append((time.perf_counter() - start) * 1000)
    await client.close()
    return statistics.median(times[2:])


async def main() -> None:
    """Print a line for each way."""
    rows, columns = (int(argument) for argument in sys.argv[1:3] or ("2500", "2048"))
    samples = np.random.default_rng(0).integers(0, 256, (rows, columns)).astype(np.uint8)
    frame = Frame(samples, 8, rows, columns)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        shutil.copytree("model_repository", repository, dirs_exist_ok=True)
        for name in models_with_contract(repository):
            build_placements(repository, name)
        async with EmbeddedTriton(repository) as triton:
            base = None
            for way, (ensembles, shared) in WAYS.items():
                ms = await median_ms(triton.grpc_url, frame, ensembles=ensembles, shared=shared)
                base = base or ms
                print(f"{way:24} {ms:8.1f} ms  {ms / base:5.2f} x")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main())
