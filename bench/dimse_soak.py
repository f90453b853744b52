"""Probes and associations for ten minutes: memory, threads and open files of the gateway over time.

    python -m bench.dimse_soak --seconds 600

`radstream serve` runs before the real Triton. Fifty senders hold an association each and store an
instance every few seconds, each of a study of its own; after some they release it, or close the
connection without a word, and begin anew. Meanwhile bare connections come and go, as a load
balancer's probes do. It ends with status 1 where the last third has more memory, threads or files
than the second, beyond what a measurement varies by, or where an instance was not stored.
"""

import argparse
import asyncio
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from bench.dimse_probes import Usage
from tests.support.dimse import encoded, free_port, secondary_capture
from tests.support.dimse_wire import WireSender
from tests.support.gateway import client_of, running_command, until
from tests.support.models import write_repository
from tests.support.triton import running_triton

ASSOCIATIONS = 50
INSTANCES_AN_ASSOCIATION = 8
PAUSE_S = 4.0
PROBES_A_SECOND = 100
SAMPLES = 60
GROWN_BYTES = 16 * 2**20
GROWN_COUNT = 8


@dataclass
class Traffic:
    """Deeds of the senders and probes."""

    seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    stored: int = 0
    refused: list[int] = field(default_factory=list)
    associations: int = 0
    probes: int = 0
    faults: list[str] = field(default_factory=list)


def _send(port: int, seed: int, traffic: Traffic) -> None:
    """Store until it is to stop."""
    rng = random.Random(seed)  # noqa: S311 - a bench's dice
    pause_s = min(PAUSE_S, traffic.seconds / 10)
    while not traffic.stop.is_set():
        try:
            with WireSender(port) as sender:
                traffic.associations += 1
                for _ in range(rng.randint(1, INSTANCES_AN_ASSOCIATION)):
                    dataset = secondary_capture()
                    status = sender.store(dataset.SOPInstanceUID, encoded(dataset))
                    if status:
                        traffic.refused.append(status)
                    else:
                        traffic.stored += 1
                    if traffic.stop.wait(pause_s * rng.uniform(0.5, 1.5)):
                        return
                if rng.random() < 0.5:
                    sender.release()
        except (OSError, AssertionError) as error:
            traffic.faults.append(repr(error))
            return


def _probe(port: int, traffic: Traffic) -> None:
    while not traffic.stop.wait(1 / PROBES_A_SECOND):
        socket.create_connection(("127.0.0.1", port)).close()
        traffic.probes += 1


async def _watch(process: psutil.Process, seconds: float) -> list[Usage]:
    seen = []
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        seen.append(Usage.of(process))
        if len(seen) % (SAMPLES // 6) == 0:
            print(f"{len(seen) * seconds / SAMPLES:5.0f} s  {seen[-1]}", flush=True)
    return seen


def grown(seen: Sequence[Usage]) -> list[str]:
    """Return what the last third has more of than the second, by their medians."""
    third = len(seen) // 3
    before, after = seen[third : 2 * third], seen[2 * third :]
    found = []
    for name, most in (
        ("rss_bytes", GROWN_BYTES),
        ("threads", GROWN_COUNT),
        ("files", GROWN_COUNT),
    ):
        more = median(getattr(each, name) for each in after) - median(
            getattr(each, name) for each in before
        )
        if more > most:
            found.append(f"{name}: {more:+.0f}")
    return found


async def soak(seconds: float, triton_url: str, folder: Path) -> tuple[Traffic, list[Usage]]:
    """Return what was done in so many seconds, and what the gateway had meanwhile."""
    port, traffic = free_port(), Traffic(seconds)
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(port),
        "RADSTREAM_DIMSE__ASSOCIATIONS": str(2 * ASSOCIATIONS),  # closed ones end a little later
    }
    async with (
        running_command("serve", **environment) as command,
        client_of(await command.url()) as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/readyz")).is_success

        await until(is_ready)
        process = psutil.Process(command.pid)
        threads = [
            threading.Thread(target=_send, args=(port, seed, traffic))
            for seed in range(ASSOCIATIONS)
        ]
        threads.append(threading.Thread(target=_probe, args=(port, traffic)))
        print(f"  before {Usage.of(process)}", flush=True)
        for thread in threads:
            thread.start()
        try:
            seen = await _watch(process, seconds)
        finally:
            traffic.stop.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)
        print(f"   after {Usage.of(process)}")
    return traffic, seen


async def _main(seconds: float) -> int:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        repository = write_repository(Path(folder) / "models")
        async with running_triton(repository) as triton:
            traffic, seen = await soak(seconds, triton.grpc_url, Path(folder))
    found = grown(seen)
    print(
        f"{time.monotonic() - begun:.0f} s: {traffic.probes} probes, {traffic.associations} "
        f"associations, {traffic.stored} instances stored, {len(traffic.refused)} refused, "
        f"{len(traffic.faults)} faults {traffic.faults[:1]}; grown: {found or 'nothing'}"
    )
    return 1 if found or traffic.refused or traffic.faults else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, and end with its verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    sys.exit(asyncio.run(_main(parser.parse_args(arguments).seconds)))


if __name__ == "__main__":
    main()
