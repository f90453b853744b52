"""HTTP beside DICOM: answers and event loop with idle associations and with senders at work.

    python -m bench.dimse_load --seconds 15

`radstream serve` runs before the real Triton, with a model that costs nothing, or with
`--without-triton`: then what is stored waits, and each piece is tried again and again. In each
phase `/v1/models` is asked twenty times a second; told are how long that took, the loop's lag,
the process's CPU and the instances stored. Between phases all that was stored is processed. It
measures and judges nothing.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
from pydicom.dataset import Dataset

from tests.support.dimse import encoded, free_port, secondary_capture
from tests.support.dimse_wire import WireSender
from tests.support.gateway import client_of, metric, running_command, until
from tests.support.models import write_repository
from tests.support.triton import running_triton

IDLE = 50
SENDERS = 4
EVERY_S = 0.05
SETTLED_S = 300.0
# A radiograph of 1,024 by 1,024 in 16 bits.
OBJECT_BYTES = 2 * 2**20


@contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """Hold associations that say nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(WireSender(port))
        yield


@contextmanager
def sending(port: int, count: int) -> Iterator[None]:
    """Store instances of studies of their own, one after another on each association."""
    stop = threading.Event()

    def send() -> None:
        with WireSender(port) as sender:
            while not stop.is_set():
                dataset = _radiograph()
                sender.store(dataset.SOPInstanceUID, encoded(dataset))

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _radiograph() -> Dataset:
    dataset = secondary_capture()
    dataset.Rows = dataset.Columns = 1024
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelData = bytes(OBJECT_BYTES)
    return dataset


async def _measure(name: str, client: httpx.AsyncClient, pid: int, seconds: float) -> None:
    process, waits_ms = psutil.Process(pid), []
    before, cpu = (await client.get("/metrics")).text, sum(process.cpu_times()[:2])
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        asked = time.monotonic()
        (await client.get("/v1/models")).raise_for_status()
        waits_ms.append((time.monotonic() - asked) * 1000)
        await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - asked)))
    took_s = time.monotonic() - begun
    after, used_s = (await client.get("/metrics")).text, sum(process.cpu_times()[:2]) - cpu

    def grown(sample: str, **labels: str) -> float:
        return metric(after, sample, **labels) - metric(before, sample, **labels)

    lag = "radstream_event_loop_lag_seconds"
    looks = grown(f"{lag}_count")
    within = grown(f"{lag}_bucket", le="0.01")
    waits_ms.sort()
    stored = grown("radstream_dimse_instances_total", status="0000")
    print(
        f"{name:24} HTTP p50 {waits_ms[len(waits_ms) // 2]:5.1f} ms, "
        f"p95 {waits_ms[int(len(waits_ms) * 0.95)]:5.1f} ms; event loop "
        f"{grown(f'{lag}_sum') / looks * 1000:5.2f} ms late, {within / looks:6.1%} within 10 ms; "
        f"CPU {used_s / took_s:5.1%}; {stored / took_s:5.1f} instances a second"
    )


async def _main(seconds: float, folder: Path, triton_url: str | None) -> None:
    port = free_port()
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(port),
        "RADSTREAM_DIMSE__ASSOCIATIONS": str(IDLE + SENDERS),
    }
    if triton_url is not None:
        environment["RADSTREAM_TRITON__URL"] = triton_url
    async with (
        running_command("serve", **environment) as command,
        client_of(await command.url()) as client,
    ):

        async def is_settled() -> bool:
            query = {"state": "pending", "limit": "1"}
            return not (await client.get("/v1/studies", params=query)).json()["studies"]

        async def measure(name: str) -> None:
            await _measure(name, client, command.pid, seconds)

        await measure("alone")
        with idle(port, IDLE):
            await measure(f"{IDLE} idle associations")
        for count in (1, SENDERS):
            with sending(port, count):
                await measure(f"{count} x 2 MB at a time")
            if triton_url is not None:
                await until(is_settled, SETTLED_S)
                await measure("alone again")


async def _with_triton(seconds: float, folder: Path) -> None:
    async with running_triton(write_repository(folder / "models")) as triton:
        await _main(seconds, folder, triton.grpc_url)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each phase."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--without-triton", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.without_triton:
            asyncio.run(_main(options.seconds, folder, None))
        else:
            asyncio.run(_with_triton(options.seconds, folder))


if __name__ == "__main__":
    main()
