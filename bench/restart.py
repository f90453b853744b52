"""The cost of a restart where the watched folder is full of files that were read before.

    python -m bench.restart [--pairs 5000]

The real gateway as a process of its own, with a real Triton and a model that costs next to nothing:
it reads the pairs once, is killed (SIGKILL), and is started again. The processor time of its start
is put beside that of a start on an empty folder, and a new pair is timed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import until
from tests.support.models import write_repository

METADATA = {"view": "AP", "timestamp": "2026-01-31T08:15:00Z"}


def drop(folder: Path, number: int) -> Path:
    """Put a pair that no other equals into the folder; where its result is to lie."""
    study = folder / "drop" / f"S-{number}"
    study.mkdir(parents=True)
    pixels = np.full((32, 32), 128, np.uint8)
    pixels[0, :24] = [(number >> bit & 1) * 255 for bit in range(24)]
    cv2.imwrite(str(study / "x.png"), pixels)
    (study / "x.json").write_text(json.dumps(METADATA | {"study_id": study.name}))
    return folder / "store/results" / study.name / "result.json"


async def gateway(folder: Path, triton: EmbeddedTriton) -> psutil.Process:
    """A gateway that has opened its port."""
    settings = {
        "HTTP__PORT": "0",
        "TRITON__URL": triton.grpc_url,
        "STORE__FOLDER": str(folder / "store"),
        "AUDIT__FOLDER": str(folder / "audit"),
        "TELEMETRY__KIND": "none",
        "DROPFOLDER__FOLDER": str(folder / "drop"),
        "DROPFOLDER__WATCH": "true",
        "LOGS__LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve"),
        env=os.environ | {f"RADSTREAM_{name}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return psutil.Process(process.pid)


def cpu_s(process: psutil.Process) -> float:
    """Seconds of processor time that the process has taken."""
    times = process.cpu_times()
    return times.user + times.system


async def start(folder: Path, triton: EmbeddedTriton, number: int) -> tuple[float, float]:
    """Processor time of a start and of ten seconds after it, and how long a new pair took."""
    process = await gateway(folder, triton)
    began = time.monotonic()
    result = drop(folder, number)
    await until(result.exists)
    took_s = time.monotonic() - began
    await asyncio.sleep(10 - took_s)
    spent_s = cpu_s(process)
    process.kill()
    await asyncio.to_thread(process.wait)
    return spent_s, took_s


async def measure(pairs: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_repository(folder / "models")
        async with EmbeddedTriton(folder / "models") as triton:
            empty_s, empty_took_s = await start(folder / "empty", triton, 0)
            results = [drop(folder / "full", number) for number in range(1, pairs + 1)]
            process = await gateway(folder / "full", triton)
            began = time.monotonic()
            for result in results:
                await until(result.exists, timeout_s=3600)
            await asyncio.sleep(2)  # until the last of them is noted too
            first_s = time.monotonic() - began
            process.kill()
            await asyncio.to_thread(process.wait)
            full_s, full_took_s = await start(folder / "full", triton, 0)
    print(f"{2 * pairs} files, read for the first time in {first_s:.0f} s")
    print(f"start on an empty folder: {empty_s:.1f} s of CPU, a new pair in {empty_took_s:.1f} s")
    print(f"start on the full folder: {full_s:.1f} s of CPU, a new pair in {full_took_s:.1f} s")
    print(f"the known files cost {full_s - empty_s:.1f} s of CPU")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5000)
    asyncio.run(measure(parser.parse_args().pairs))


if __name__ == "__main__":
    main()
