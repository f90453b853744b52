"""Kills of one backend process of Triton at random moments, and how soon studies are read again.

    python -m bench.backend_kills --kills 60 --seed 1

`radstream up` runs on a model of two processes. Studies come at one in two seconds in the first
half of the kills, at twenty a second in the other. A third of the kills meets a model that is being
loaded: it follows a kill before, at a random moment of the reload. After each kill the service has
to be back within 15 s, and whenever `/readyz` says ready a study that is sent at once has to be
read, but in the moment in which a death is not known yet. It ends with status 1 otherwise.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import psutil

from tests.support.gateway import client_of, metadata, multipart, running_command, until
from tests.support.models import png, write_model
from tests.support.processes import descendants

BACK_WITHIN_S = 15.0
# What /readyz says is at most a second old, and Triton takes another to notice a dead process.
KNOWN_AFTER_S = 2.5
# Requests answered one after another that show that every process of the model answers.
PROOF = 3
INSTANCES = 2
OK = 200
CALM_PAUSE_S, BUSY_PAUSE_S = 2.0, 0.05
SETTLED_S = (0.5, 3.0)  # from the service's return to the next kill
GIVEN_UP_S = 120.0


@dataclass(frozen=True)
class Kill:
    """One kill and what followed.

    Attributes
    ----------
    moment
        ``serving`` or ``loading``.
    back_s
        Seconds until studies were read again, each that was sent, or the longest that one waited
        for its reading, if that is longer.
    refused
        Studies that were sent meanwhile and not read.
    restarts
        Starts of Triton that it took.
    """

    pace: str
    moment: str
    back_s: float
    refused: int
    restarts: int


@dataclass
class Watch:
    """Record of what senders and the readiness probe were told.

    Attributes
    ----------
    answers
        Moment and status of each study's answer, in the order of the answers.
    waits
        Moment of each study's answer, and the seconds that it waited for that.
    false_ready
        Seconds since the last kill at which `/readyz` said ready and the study sent at once after
        it was not read.
    """

    killed_at: float = 0.0
    answers: list[tuple[float, int]] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    false_ready: list[float] = field(default_factory=list)
    sent: int = 0

    def back_since(self, moment: float) -> bool:
        """Return whether the last answers after this moment are all readings."""
        statuses = [status for at, status in self.answers if at > moment]
        return len(statuses) >= PROOF and set(statuses[-PROOF:]) == {OK}


async def send(client: httpx.AsyncClient, watch: Watch, rng: random.Random) -> int:
    """Send one study that nobody has sent before; its status, 0 for a broken connection."""
    pixels = np.frombuffer(rng.randbytes(32 * 32), np.uint8).reshape(32, 32)
    watch.sent += 1
    sent_at = time.monotonic()
    try:
        answer = await client.post("/v1/studies", **multipart(metadata(), png(pixels)))
        status = answer.status_code
    except httpx.TransportError:
        status = 0
    now = time.monotonic()
    watch.answers.append((now, status))
    watch.waits.append((now, now - sent_at))
    return status


async def keep_sending(
    client: httpx.AsyncClient, watch: Watch, rng: random.Random, pause_s: float
) -> None:
    """Send a study every so many seconds, whatever becomes of those before."""
    async with asyncio.TaskGroup() as studies:
        while True:
            studies.create_task(ask_and_send(client, watch, rng))
            await asyncio.sleep(pause_s)


async def ask_and_send(client: httpx.AsyncClient, watch: Watch, rng: random.Random) -> None:
    """Send a study, and before every second one ask whether it would be read."""
    ready = False
    if rng.random() < 0.5:
        with suppress(httpx.TransportError):
            ready = (await client.get("/readyz")).is_success
    killed_at = watch.killed_at
    if await send(client, watch, rng) != OK and ready and killed_at == watch.killed_at:
        watch.false_ready.append(time.monotonic() - killed_at)


def backends(pid: int) -> list[psutil.Process]:
    """The processes in which that `radstream up` runs its models, the youngest last."""
    found = []
    for process in descendants(pid):
        with suppress(psutil.NoSuchProcess):
            if "triton_python_backend_stub" in " ".join(process.cmdline()):
                found.append((process.create_time(), process.pid, process))
    return [process for *_, process in sorted(found)]


async def kill_one(pid: int, rng: random.Random, watch: Watch) -> set[int]:
    """Kill one of the processes that serve; the ids of all there were."""
    # After a reload Triton may keep a process of the model that was unloaded.
    await until(lambda: len(backends(pid)) >= INSTANCES, GIVEN_UP_S)
    there = backends(pid)
    rng.choice(there[-INSTANCES:]).kill()
    watch.killed_at = time.monotonic()
    return {process.pid for process in there}


async def kill_loading(pid: int, rng: random.Random, watch: Watch, known: set[int]) -> set[int]:
    """Kill one that was started since, at a random moment of its first second; as `kill_one`."""

    def fresh() -> list[psutil.Process]:
        return [process for process in backends(pid) if process.pid not in known]

    await until(lambda: fresh() != [], GIVEN_UP_S)
    await asyncio.sleep(rng.uniform(0, 1.0))
    # There may be none for a moment, between the one that completes the configuration and others.
    await until(lambda: fresh() != [], GIVEN_UP_S)
    rng.choice(fresh()).kill()
    watch.killed_at = time.monotonic()
    return known | {process.pid for process in fresh()}


@asynccontextmanager
async def running_up(folder: Path) -> AsyncIterator[tuple[int, httpx.AsyncClient]]:
    """`radstream up` on a model of two processes: its process id, and a client of it."""
    write_model(folder / "models", instances=INSTANCES)
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__MODEL_REPOSITORY": str(folder / "models"),
        "RADSTREAM_STORE__FOLDER": str(folder / "results"),
        "RADSTREAM_DROPFOLDER__FOLDER": str(folder / "drop"),
        "RADSTREAM_LOGS__LEVEL": "warning",
    }
    async with running_command("up", **environment) as command:
        url = await command.url()
        async with client_of(url) as client:
            yield command.pid, client
        assert await command.stop() == 0


async def restarts(client: httpx.AsyncClient) -> int:
    """Return how often Triton was started again so far."""
    text = (await client.get("/metrics")).text
    [line] = [
        each for each in text.splitlines() if each.startswith("radstream_triton_restarts_total ")
    ]
    return int(float(line.split()[1]))


async def kills(
    up: tuple[int, httpx.AsyncClient], rng: random.Random, watch: Watch, pace: str, count: int
) -> AsyncIterator[Kill]:
    """So many kills under studies at this pace; each waits until the one before is mended."""
    pid, client = up
    pause_s = CALM_PAUSE_S if pace == "calm" else BUSY_PAUSE_S
    loading = [n % 3 == 0 for n in range(count)]
    rng.shuffle(loading)
    sender = asyncio.create_task(keep_sending(client, watch, rng, pause_s))
    try:
        for while_loading in loading:
            before = await restarts(client)
            known = await kill_one(pid, rng, watch)
            if while_loading:
                known = await kill_loading(pid, rng, watch, known)
            killed_at = watch.killed_at
            back = await _is_mended(pid, watch, known)
            since = [(at, status) for at, status in watch.answers if at > killed_at]
            refused = [at for at, status in since if status != OK]
            first = next((at for at, _ in since if not refused or at > refused[-1]), float("inf"))
            waited_s = max((wait for at, wait in watch.waits if at > killed_at), default=0.0)
            yield Kill(
                pace,
                "loading" if while_loading else "serving",
                max(first - killed_at, waited_s) if back else float("inf"),
                len(refused),
                await restarts(client) - before,
            )
            await asyncio.sleep(rng.uniform(*SETTLED_S))
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


async def _is_mended(pid: int, watch: Watch, known: set[int]) -> bool:
    """Return whether other processes than those serve in the end, and read all that is sent."""

    def replaced() -> bool:
        return len({process.pid for process in backends(pid)} - known) >= INSTANCES

    try:
        async with asyncio.timeout(GIVEN_UP_S):
            while True:
                await until(replaced, GIVEN_UP_S)
                moment = time.monotonic()
                await until(lambda at=moment: watch.back_since(at), GIVEN_UP_S)
                if replaced():
                    return True
    except TimeoutError:
        return False


async def drill(count: int, seed: int, paces: Sequence[str]) -> tuple[list[Kill], Watch]:
    """So many kills in all, shared among the paces."""
    rng = random.Random(seed)  # noqa: S311 - any will do
    watch = Watch()
    done: list[Kill] = []
    with tempfile.TemporaryDirectory() as folder:
        async with running_up(Path(folder)) as up:
            await until(lambda: _is_ready(up[1]), 60)
            for position, pace in enumerate(paces):
                share = count // len(paces) + (position < count % len(paces))
                async for kill in kills(up, rng, watch, pace, share):
                    done.append(kill)
                    print(
                        f"{len(done):3} {kill.pace:5} {kill.moment:8} back {kill.back_s:6.2f} s"
                        f"  refused {kill.refused:4}  restarts {kill.restarts}",
                        flush=True,
                    )
    return done, watch


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


def faults(
    done: Sequence[Kill],
    watch: Watch,
    back_within_s: float = BACK_WITHIN_S,
    known_after_s: float = KNOWN_AFTER_S,
) -> list[str]:
    """All that must not be."""
    late = [kill for kill in done if kill.back_s > back_within_s]
    found = [f"back after {kill.back_s:.1f} s: {kill.pace}, {kill.moment}" for kill in late]
    found += [
        f"ready {at:.1f} s after a kill, and the study was refused"
        for at in watch.false_ready
        if at > known_after_s
    ]
    odd = Counter(status for _, status in watch.answers if status not in {OK, 503, 504, 0})
    return found + [f"answered {status}: {count} times" for status, count in odd.items()]


def table(done: Sequence[Kill]) -> str:
    """A line of Markdown for each pace and moment."""
    lines = [
        "| studies | killed while | kills | back, median | longest | refused | Triton restarted |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for pace, moment in sorted({(kill.pace, kill.moment) for kill in done}):
        held = [kill for kill in done if (kill.pace, kill.moment) == (pace, moment)]
        times = [kill.back_s for kill in held]
        lines.append(
            f"| {'one in 2 s' if pace == 'calm' else '20 a second'} | {moment} | {len(held)} "
            f"| {median(times):.1f} s | {max(times):.1f} s | {sum(k.refused for k in held)} "
            f"| {sum(k.restarts for k in held)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Hold the drill and print its table."""
    parser = argparse.ArgumentParser(description="Kills of backend processes; see the module.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", choices=["calm", "busy", "both"], default="both")
    arguments = parser.parse_args()
    paces = ["calm", "busy"] if arguments.pace == "both" else [arguments.pace]
    load_before = os.getloadavg()
    done, watch = asyncio.run(drill(arguments.kills, arguments.seed, paces))
    found = faults(done, watch)
    statuses = Counter(status for _, status in watch.answers)
    early = [at for at in watch.false_ready if at <= KNOWN_AFTER_S]
    print(f"\n{table(done)}\n")
    print(f"studies sent: {watch.sent}, by status: {json.dumps(dict(sorted(statuses.items())))}")
    print(f"ready before a death was known, and the study refused: {len(early)}")
    print(f"load average before and after: {load_before[0]:.1f}, {os.getloadavg()[0]:.1f}")
    print(f"must not be: {found or 'nothing'}", flush=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
