"""Rounds of random faults under constant mixed load, and what became of every accepted study.

    python -m bench.drill --rounds 50 --seed 1
    python -m bench.drill --rounds 50 --seed 1 --workers 2      # each gateway of two processes

Two gateways, the real Triton and an S3 and Kinesis emulator are processes of their own; studies are
posted, posted to be answered at once, and dropped as files. A share of the rounds is held on two
gateways that share a folder instead of buckets. It ends with status 1 if any study was lost or
stored twice, any sender saw an answer that is not in its contract, any event of telemetry is
missing that no killed process took along, or any process is left. `disk full` wants root, for a
small file system of its own, and `clock set` wants Debian's libfaketime; without them the round is
not drawn.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median

from gateway.observability import logs
from gateway.settings import LogSettings
from tests.support.aws import running_ministack
from tests.support.drill import Load, settled, verdict
from tests.support.drill_faults import (
    CLOUD,
    COMMON,
    WORKERS,
    Fault,
    Round,
    clock_set,
    disk_full,
    rounds,
)
from tests.support.drill_sites import FAKETIME, Place, bucket_place, folder_place
from tests.support.models import write_repository
from tests.support.processes import descendants
from tests.support.s3 import aws_environment
from tests.support.triton import running_triton

HAS_FAKETIME = FAKETIME.exists()
DISK_BYTES = 96 * 2**20
# Longer than a request and a claim last, so that every fault meets the ends of both.
HOLD_S = (1.0, 10.0)
PAUSE_S = 0.2
TIMEOUT_S = 8.0
SETTLED_S = 180.0


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Yield whether the folder is a file system of its own that may be filled."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            umount = ["umount", "--lazy", str(folder)]
            subprocess.run(umount, check=False)


@asynccontextmanager
async def opened(
    kind: str, stack: AsyncExitStack, workers: int
) -> AsyncIterator[tuple[Place, Load, Mapping[str, Fault]]]:
    """A place of this kind, its load, and the faults that can be had there."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    disk = folder / "disk"
    faults: dict[str, Fault] = dict(COMMON)
    if workers > 1:
        faults |= WORKERS
    if stack.enter_context(small_disk(disk)):
        faults["disk full"] = disk_full
    triton = await stack.enter_async_context(
        running_triton(write_repository(folder / "models"), on_log=lambda _line: None)
    )
    if kind == "folder":
        async with folder_place(triton.grpc_url, disk, timeout_s=TIMEOUT_S, workers=workers) as (
            place,
            load,
        ):
            yield place, load, faults
        return
    stack.enter_context(aws_environment())
    ministack = stack.enter_context(running_ministack(folder))
    faults |= CLOUD
    if HAS_FAKETIME:
        faults["clock set"] = clock_set
    async with bucket_place(
        triton.grpc_url,
        ministack.url,
        disk,
        timeout_s=TIMEOUT_S,
        clocks=HAS_FAKETIME,
        workers=workers,
    ) as (place, load):
        yield place, load, faults


async def drill(
    kind: str, count: int, rng: random.Random, workers: int
) -> tuple[list[Round], dict[str, object]]:
    """The rounds, and the sums of the verdict with all that must not be."""
    done: list[Round] = []
    before = {process.pid for process in descendants(os.getpid())}
    async with AsyncExitStack() as stack, opened(kind, stack, workers) as (place, load, faults):
        kinds = list(faults.items())
        order = [kinds[n % len(kinds)] for n in range(count)]
        rng.shuffle(order)
        async with load.running(PAUSE_S):
            async for held in rounds(place, load, order, rng, HOLD_S):
                done.append(held)
                print(
                    f"{len(done):3} {kind:6} {held.fault:22} accepted {held.accepted:4}"
                    f"  sent again {held.repeated:4}  recovery {held.recovery_s:5.2f} s",
                    flush=True,
                )
        await settled(place.site, load, SETTLED_S)
        found = await verdict(place.site, load)
    left = [p.name() for p in descendants(os.getpid()) if p.pid not in before]
    lives = sum(len(slot.lives) for slot in place.site.slots)
    faults_found = found.faults() | {
        name: items
        for name, items in {
            "unexpected answers": load.unexpected,
            "processes left": left,
        }.items()
        if items
    }
    return done, {
        "studies accepted": len(load.accepted),
        "read, each stored once": found.read,
        "parked": len(found.parked),
        "requests": sum(load.answers.values()),
        "requests sent again": {status: load.answers[status] for status in (503, 504, 0)},
        "gateway processes": lives,
        "telemetry events": found.events,
        "telemetry records counted as dropped": found.dropped,
        "must not be": faults_found or "nothing",
    }


def table(done: Sequence[Round]) -> str:
    """A line of Markdown for each fault."""
    by_fault: dict[str, list[Round]] = defaultdict(list)
    for held in done:
        by_fault[held.fault].append(held)
    lines = [
        "| fault | rounds | accepted meanwhile | sent again | recovery, median | longest |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault, held in sorted(by_fault.items()):
        recoveries = [item.recovery_s for item in held]
        lines.append(
            f"| {fault} | {len(held)} | {sum(item.accepted for item in held)} "
            f"| {sum(item.repeated for item in held)} | {median(recoveries):.1f} s "
            f"| {max(recoveries):.1f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    """Hold the drill and print its table."""
    parser = argparse.ArgumentParser(description="Fault drill; see the module.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--place", choices=["s3", "folder", "both"], default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    logs.configure(LogSettings(level="error"))
    rng = random.Random(arguments.seed)  # noqa: S311 - any will do
    on_folders = arguments.rounds // 4
    shares = {"s3": arguments.rounds - on_folders, "folder": on_folders}
    if arguments.place != "both":
        shares = {arguments.place: arguments.rounds}
    bad = False
    for kind, count in shares.items():
        done, sums = asyncio.run(drill(kind, count, rng, arguments.workers))
        bad = bad or sums["must not be"] != "nothing"
        print(f"\n{kind}\n\n{table(done)}\n")
        for name, value in sums.items():
            print(f"{name}: {value}")
        print(flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
