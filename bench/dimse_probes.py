"""Bare TCP connections to the DICOM listener, as load balancers probe it, and their cost.

    python -m bench.dimse_probes --probes 100000

`radstream serve` listens, without a Triton. Connections are made and closed one after another from
several threads, while an echo a second asks whether the listener is there. Memory, threads and open
files are told before, halfway and after; it ends with status 1 if an echo failed.
"""

import argparse
import asyncio
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from pynetdicom.ae import ApplicationEntity

from tests.support.dimse import TITLE, free_port
from tests.support.dimse_wire import VERIFICATION
from tests.support.gateway import running_command

THREADS = 4
ECHO_EVERY_S = 1.0
SUCCESS = 0x0000


@dataclass(frozen=True)
class Usage:
    """Resources of the gateway's process now."""

    rss_bytes: int
    threads: int
    files: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Usage":
        """Return what a process has."""
        return cls(process.memory_info().rss, process.num_threads(), process.num_fds())

    def __str__(self) -> str:
        return f"{self.rss_bytes / 2**20:6.1f} MiB, {self.threads} threads, {self.files} files"


def _probe(port: int, count: int) -> None:
    for _ in range(count):
        socket.create_connection(("127.0.0.1", port)).close()


def _probe_all(port: int, count: int) -> float:
    """Return the seconds that so many connections took."""
    begun = time.monotonic()
    threads = [
        threading.Thread(target=_probe, args=(port, count // THREADS)) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun


def _echo(port: int) -> bool:
    entity = ApplicationEntity("PROBE")
    entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE)
    if not association.is_established:
        return False
    answer = association.send_c_echo()
    association.release()
    return bool(answer) and answer.Status == SUCCESS


async def _echoes(port: int, waits_ms: list[float]) -> None:
    """Ask for ever; a failure counts as an endless wait."""
    while True:
        begun = time.monotonic()
        answered = await asyncio.to_thread(_echo, port)
        waits_ms.append((time.monotonic() - begun) * 1000 if answered else float("inf"))
        await asyncio.sleep(ECHO_EVERY_S)


async def _main(probes: int) -> int:
    port = free_port()
    waits_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with running_command(
            "serve",
            RADSTREAM_HTTP__PORT="0",
            RADSTREAM_STORE__FOLDER=str(Path(folder) / "store"),
            RADSTREAM_DIMSE__LISTEN="true",
            RADSTREAM_DIMSE__PORT=str(port),
        ) as command:
            await command.url()
            await asyncio.to_thread(_echo, port)
            process = psutil.Process(command.pid)
            print(f"before   {Usage.of(process)}")
            echoes = asyncio.create_task(_echoes(port, waits_ms))
            took_s = 0.0
            for moment in ("halfway", "after"):
                took_s += await asyncio.to_thread(_probe_all, port, probes // 2)
                print(f"{moment:8} {Usage.of(process)}")
            echoes.cancel()
    print(
        f"{probes} probes in {took_s:.1f} s; {len(waits_ms)} echoes meanwhile, the slowest "
        f"{max(waits_ms):.0f} ms"
    )
    return 1 if float("inf") in waits_ms else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Probe, and print what it cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--probes", type=int, default=100_000)
    options = parser.parse_args(arguments)
    sys.exit(asyncio.run(_main(options.probes)))


if __name__ == "__main__":
    main()
