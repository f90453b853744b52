"""Service times of the real gateway and the real Triton, for the simulator.

    python -m bench.autoscaling.measure

Writes bench/autoscaling/measured.json: the CPU seconds that a study costs the gateway, by
radiograph; the CPU seconds that an inference costs Triton, by batch size; and how long each of the
two takes to start. CPU seconds are what a core of one's own takes, whatever else the machine does.
"""

import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from tritonclient.grpc.aio import InferenceServerClient, InferInput

from gateway.observability import logs
from gateway.settings import LogSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import ROOT, client_of, metadata, multipart, running_command, until
from tests.support.processes import triton_process

OUTPUT = Path(__file__).with_name("measured.json")
RADIOGRAPHS = sorted((ROOT / "tests/data/images").glob("*.jpeg"))
MODEL, INPUT, SHAPE = "cxr_pneumonia", "image", (1, 224, 224)
BATCHES = (1, 2, 4, 8, 16)


async def measure(studies: int, repetitions: int) -> dict[str, Any]:
    """All there is to know, in seconds.

    Parameters
    ----------
    studies
        To send of each radiograph.
    repetitions
        Of an inference of each batch size.
    """
    began = time.monotonic()
    async with EmbeddedTriton(ROOT / "model_repository", on_log=lambda _line: None) as triton:
        triton_start_s = time.monotonic() - began
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            async with (
                running_command(
                    "serve",
                    RADSTREAM_HTTP__PORT="0",
                    RADSTREAM_STORE__FOLDER=folder,
                    RADSTREAM_TRITON__URL=triton.grpc_url,
                ) as command,
                client_of(await command.url()) as client,
            ):
                await until(lambda: _is_ready(client))
                gateway_start_s = time.monotonic() - began
                gateway = psutil.Process(command.pid)
                gateway_s = {
                    path.name: await _study_s(client, gateway, path.read_bytes(), studies)
                    for path in RADIOGRAPHS
                }
        batch_s = await _batch_s(triton.grpc_url, repetitions)
    return {
        "machine": {"cores": os.cpu_count(), "processor": _processor()},
        "start_s": {"triton": round(triton_start_s, 1), "gateway": round(gateway_start_s, 1)},
        "gateway_s": gateway_s,
        "batch_s": batch_s,
    }


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


async def _study_s(
    client: httpx.AsyncClient, gateway: psutil.Process, picture: bytes, studies: int
) -> float:
    """CPU seconds of the gateway for one study of this picture, after one that is not counted."""
    before = 0.0
    for number in range(studies + 1):
        response = await client.post("/v1/studies", **multipart(metadata(), picture))
        response.raise_for_status()
        if number == 0:
            before = _cpu_s([gateway])
    return round((_cpu_s([gateway]) - before) / studies, 5)


async def _batch_s(url: str, repetitions: int) -> dict[str, float]:
    """CPU seconds of Triton for one inference, by batch size."""
    generator = np.random.default_rng(7)
    server = triton_process(url)
    seconds = {}
    async with InferenceServerClient(url) as client:
        for size in BATCHES:
            tensor = generator.random((size, *SHAPE), dtype=np.float32)
            given = InferInput(INPUT, list(tensor.shape), "FP32")
            given.set_data_from_numpy(tensor)
            await client.infer(MODEL, [given])
            before = _cpu_s([server, *server.children(recursive=True)])
            for _ in range(repetitions):
                await client.infer(MODEL, [given])
            used = _cpu_s([server, *server.children(recursive=True)]) - before
            seconds[str(size)] = round(used / repetitions, 5)
    return seconds


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def _processor() -> str:
    """The kind of processor, as Linux knows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    logs.configure(LogSettings(level="warning"))
    found = asyncio.run(measure(studies=50, repetitions=60))
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
