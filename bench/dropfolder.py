"""Milliseconds from the event that completes a study to its stored result.

    python -m bench.dropfolder

The gateway's own part alone: a real Triton and the reference model, folders in place of both
buckets, so that no emulator's time is in it. In AWS each of the calls of S3 that it counts adds
what S3 takes for one, some of them side by side.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
from prometheus_client import CollectorRegistry

from gateway.app.lifespan import open_gateway
from gateway.observability import logs
from gateway.observability.metrics import Metrics
from gateway.runtime.health import Health
from gateway.settings import (
    DropFolderSettings,
    LogSettings,
    Settings,
    StoreSettings,
    TelemetrySettings,
    TritonSettings,
)
from gateway.storage.folder import FolderStore
from gateway.triton.embedded import EmbeddedTriton

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "tests/data/images/person931_bacteria_2856.jpeg"
STUDIES = 100


def drop(folder: Path, number: int) -> str:
    """The key of an image of its own, whose sidecar is there."""
    pixels = cv2.imread(str(IMAGE), cv2.IMREAD_GRAYSCALE)
    pixels[0, :8] = [(number >> bit & 1) * 255 for bit in range(8)]
    study = folder / f"S-{number}"
    study.mkdir(parents=True)
    cv2.imwrite(str(study / "x.jpg"), pixels)
    metadata = {"study_id": study.name, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    (study / "x.json").write_text(json.dumps(metadata))
    return f"{study.name}/x.jpg"


async def measure(folder: Path) -> tuple[list[float], int]:
    """Milliseconds of each delivery, and how often a delivery called a store."""
    keys = [drop(folder / "drop", number) for number in range(STUDIES)]
    calls = 0
    run = FolderStore._run  # noqa: SLF001 - every call of either store goes through it

    async def counting(store: FolderStore, threads: object, work: object) -> object:
        nonlocal calls
        calls += 1
        return await run(store, threads, work)

    FolderStore._run = counting  # noqa: SLF001
    async with EmbeddedTriton(ROOT / "model_repository") as triton:
        settings = Settings(
            triton=TritonSettings(url=triton.grpc_url),
            store=StoreSettings(folder=folder / "store"),
            dropfolder=DropFolderSettings(folder=folder / "drop"),
            telemetry=TelemetrySettings(kind="none"),
        )
        async with open_gateway(settings, Metrics(CollectorRegistry()), Health()) as gateway:
            await gateway.deliveries.deliver(drop(folder / "drop", STUDIES))  # the first is slower
            calls = 0
            times = []
            for key in keys:
                began = time.perf_counter()
                delivery = await gateway.deliveries.deliver(key)
                times.append((time.perf_counter() - began) * 1000)
                assert delivery.outcome == "processed", delivery
    return times, calls // STUDIES


def main() -> None:
    """Print the figures."""
    logs.configure(LogSettings(level="error"))
    with tempfile.TemporaryDirectory() as folder:
        times, calls = asyncio.run(measure(Path(folder)))
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    sys.stdout.write(
        f"{STUDIES} studies of {IMAGE.stat().st_size} bytes, one after the other: "
        f"p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f} ms; {calls} calls of the store each\n"
    )


if __name__ == "__main__":
    main()
