"""HTTP beside DICOM: answers and event loop with idle associations and with senders at work.

    python -m bench.dimse_load --seconds 15

`radstream serve` runs without a Triton. In each phase `/v1/models` is asked twenty times a second;
told are how long that took, the event loop's lag, the process's CPU and the instances stored. It
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
from tests.support.gateway import client_of, metric, running_command

IDLE = 50
SENDERS = 4
EVERY_S = 0.05
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


async def _main(seconds: float) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_command(
                "serve",
                RADSTREAM_HTTP__PORT="0",
                RADSTREAM_STORE__FOLDER=str(Path(folder) / "store"),
                RADSTREAM_DIMSE__LISTEN="true",
                RADSTREAM_DIMSE__PORT=str(port),
                RADSTREAM_DIMSE__ASSOCIATIONS=str(IDLE + SENDERS),
            ) as command,
            client_of(await command.url()) as client,
        ):
            await _measure("alone", client, command.pid, seconds)
            with idle(port, IDLE):
                await _measure(f"{IDLE} idle associations", client, command.pid, seconds)
            with sending(port, 1):
                await _measure("1 sender of 2 MB", client, command.pid, seconds)
            with sending(port, SENDERS):
                await _measure(f"{SENDERS} senders of 2 MB", client, command.pid, seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each phase."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=15)
    asyncio.run(_main(parser.parse_args(arguments).seconds))


if __name__ == "__main__":
    main()
