"""The faults of a drill: each is done for as long as its block runs, and undone at its end."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.support.drill import Load, Slot
from tests.support.drill_sites import Place
from tests.support.gateway import until
from tests.support.processes import stopped, triton_process

Fault = Callable[[Place, random.Random], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def gateway_killed(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGKILL to one gateway; its supervisor starts it again."""
    await rng.choice(place.site.slots).kill()
    yield


@asynccontextmanager
async def gateways_killed(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGKILL to all gateways, one after the other."""
    del rng
    for slot in place.site.slots:
        await slot.kill()
    yield


@asynccontextmanager
async def worker_killed(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGKILL to one process of a gateway of several; the first starts another in its place."""
    with suppress(psutil.NoSuchProcess):
        (await _worker(place, rng)).kill()
    yield


@asynccontextmanager
async def worker_stopped(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGSTOP to one process of a gateway of several."""
    with stopped(await _worker(place, rng)):
        yield


async def _worker(place: Place, rng: random.Random) -> psutil.Process:
    """A worker of any gateway, once there is one: it may be starting."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        slot = rng.choice(place.site.slots)
        found.extend(_workers(slot))
        return bool(found)

    await until(is_there, 60)
    return rng.choice(found)


def _workers(slot: Slot) -> list[psutil.Process]:
    """The processes of a gateway beside its first."""
    return [
        child
        for child in psutil.Process(slot.lives[-1].pid).children()
        if "gateway.app.workers.worker" in child.cmdline()
    ]


@asynccontextmanager
async def triton_killed(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGKILL to Triton; its guardian starts it again."""
    del rng
    (await _triton(place)).kill()
    yield


@asynccontextmanager
async def triton_stopped(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """SIGSTOP to Triton: it takes connections and answers nothing."""
    del rng
    with stopped(await _triton(place)):
        yield


async def _triton(place: Place) -> psutil.Process:
    """Triton's process, once there is one: it may be starting."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        with suppress(ValueError, psutil.NoSuchProcess):
            found.append(triton_process(place.triton_url))
        return bool(found)

    await until(is_there, 60)
    return found[-1]


def _s3(rule: Mapping[str, Any]) -> Fault:
    @asynccontextmanager
    async def fault(place: Place, rng: random.Random) -> AsyncIterator[None]:
        del rng
        assert place.proxy is not None
        await place.proxy.set({"service": "s3", **rule})
        try:
            yield
        finally:
            await place.proxy.set()

    return fault


@asynccontextmanager
async def kinesis_throttled(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """Kinesis refuses half of the records."""
    assert place.stream is not None
    place.stream.refuses = lambda _number: rng.random() < 0.5
    try:
        yield
    finally:
        place.stream.refuses = lambda _number: False


@asynccontextmanager
async def kinesis_away(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """Nobody listens where Kinesis was."""
    del rng
    assert place.stream is not None
    await place.stream.stop()
    try:
        yield
    finally:
        await place.stream.start()


@asynccontextmanager
async def disk_full(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """Not a byte is free on the disk of the spools, and of the store where that is a folder.

    With Kinesis away, where there is one, so that the spools are wanted.
    """
    ballast = place.disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        status = os.statvfs(place.disk)
        assert status.f_bavail == 0
        if place.stream is None:
            yield
        else:
            async with kinesis_away(place, rng):
                yield
    finally:
        ballast.unlink()


@asynccontextmanager
async def writes_refused(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """The kernel refuses the gateways every byte of a file beyond the 256th (RLIMIT_FSIZE)."""
    del rng
    gateways = [psutil.Process(slot.lives[-1].pid) for slot in place.site.slots]
    gateways += [worker for slot in place.site.slots for worker in _workers(slot)]
    _, hard = gateways[0].rlimit(psutil.RLIMIT_FSIZE)
    for gateway in gateways:
        gateway.rlimit(psutil.RLIMIT_FSIZE, (256, hard))
    try:
        yield
    finally:
        for gateway in gateways:
            gateway.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))


@asynccontextmanager
async def clock_set(place: Place, rng: random.Random) -> AsyncIterator[None]:
    """The clock of one gateway is set by up to two hours, either way, and back."""
    assert place.clocks is not None
    clock = rng.choice(place.clocks)
    clock.write_text(f"{rng.choice([-7200, -3600, -60, 60, 3600, 7200]):+d}")
    try:
        yield
    finally:
        clock.write_text("+0")


COMMON: Mapping[str, Fault] = {
    "gateway killed": gateway_killed,
    "all gateways killed": gateways_killed,
    "Triton killed": triton_killed,
    "Triton stopped": triton_stopped,
    "writes refused": writes_refused,
}
WORKERS: Mapping[str, Fault] = {
    "worker killed": worker_killed,
    "worker stopped": worker_stopped,
}
CLOUD: Mapping[str, Fault] = {
    "S3 answers 500": _s3({"probability": 0.5, "error": {"code": "InternalError", "status": 500}}),
    "S3 resets connections": _s3({"probability": 0.3, "reset": True}),
    "S3 hangs": _s3({"probability": 0.5, "timeout_ms": 10_000}),
    "S3 is slow": _s3({"latency": {"min": 300, "max": 1500}}),
    "Kinesis throttles": kinesis_throttled,
    "Kinesis away": kinesis_away,
}


@dataclass(frozen=True)
class Round:
    """Effect of one fault on the load.

    Attributes
    ----------
    accepted
        Studies that were accepted while it lasted.
    repeated
        Requests that had to be sent again: 503, 504 or a broken connection.
    recovery_s
        Seconds from its end until a study was accepted.
    """

    fault: str
    accepted: int
    repeated: int
    recovery_s: float


async def rounds(
    place: Place,
    load: Load,
    faults: Sequence[tuple[str, Fault]],
    rng: random.Random,
    hold_s: tuple[float, float],
) -> AsyncIterator[Round]:
    """Each fault in its turn, under the load, for a time between the two.

    Yields
    ------
    Round
        Once studies are accepted again.
    """
    for name, fault in faults:
        accepted, repeated = len(load.accepted), _repeated(load)
        async with fault(place, rng):
            await asyncio.sleep(rng.uniform(*hold_s))
        during, healed = len(load.accepted) - accepted, time.monotonic()
        await until(lambda since=healed: max(load.accepted.values(), default=0) > since, 120)
        yield Round(
            name,
            during,
            _repeated(load) - repeated,
            min(at for at in load.accepted.values() if at > healed) - healed,
        )
        await asyncio.sleep(rng.uniform(0, 1))  # faults come at no particular moment


def _repeated(load: Load) -> int:
    return sum(load.answers[status] for status in (0, 503, 504))
