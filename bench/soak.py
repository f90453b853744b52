"""Soak test: memory, files and threads are to stay flat over many studies.

    python -m bench.soak [--studies 100000] [--concurrency 8]

Sends small radiographs to `radstream up` without a pause, whose model takes next to no time, so
that the gateway has the machine to itself: nine of ten JPEGs of 45 KB, the tenth a
PNG, as multipart and as raw bodies by turns; one in fifty is cut short and must be refused. Each
study is deleted over HTTP when `_STORED` more have been sent, so that the disk holds that many
studies and a note of each deletion. Looks at the processes and at /metrics every few seconds,
prints a line each time, keeps all at the end; `python -m bench.report` draws it.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, deque
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench.plots import plt, save
from bench.results import PLACE, ROOT, keep
from bench.serving.load import Connections, Request, new_id
from bench.serving.processes import Server, free_port, running
from bench.serving.targets import gateway_environment
from tests.support.models import write_repository

_DATA = ROOT / "tests/data/images"
_SMALL = ("person931_bacteria_2856.jpeg", "person699_virus_1295.jpeg")
_OTHER = "nih_00000001_000.png"
_STORED = 500
_LOOK_S = 5.0
_FLAT_MIB = 1.0  # over 10,000 studies
_LAG = "radstream_event_loop_lag_seconds"
_SPOOL = "radstream_telemetry_spool_bytes"


class Soak:
    """Senders that share one sequence of studies."""

    def __init__(self, url: str, studies: int) -> None:
        self._connections = Connections(url)
        self._numbers = iter(range(studies))
        self._stored: deque[str] = deque()
        small = [(_DATA / name).read_bytes() for name in _SMALL]
        self._pictures = [small[0], small[1]] * 4 + [small[0], (_DATA / _OTHER).read_bytes()]
        self.done = 0
        self.answers: Counter[str] = Counter()

    async def sender(self) -> None:
        """One study after another, until all are sent."""
        for number in self._numbers:
            await self._study(number)
            if len(self._stored) > _STORED:
                await self._delete(self._stored.popleft())
            self.done += 1

    async def _study(self, number: int) -> None:
        picture, damaged = self._pictures[number % len(self._pictures)], number % 50 == 7
        if damaged:
            picture = picture[: len(picture) // 2]
        kind = "multipart" if number % 3 else "raw"
        study_id = new_id()
        request = Request("/v1/studies", kind, picture)
        status = await self._connections.exchange(request.parts(study_id))
        self.answers[f"{'damaged, ' if damaged else ''}{status}"] += 1
        if status == 200:
            self._stored.append(study_id)

    async def _delete(self, study_id: str) -> None:
        head = f"DELETE /v1/studies/{study_id} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        status = await self._connections.exchange([head.encode()])
        self.answers[f"deleted, {status}"] += 1


async def look(server: Server, client: httpx.AsyncClient) -> dict[str, float]:
    """Return what the processes hold now, and the gateway's own counts."""
    gateway = server.process
    others = []
    for child in gateway.children(recursive=True):
        with psutil.Process(child.pid).oneshot():
            others.append(child.memory_info().rss)
    samples: Counter[str] = Counter()
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        for sample in family.samples:
            if sample.name in {f"{_LAG}_sum", f"{_LAG}_count", _SPOOL}:
                samples[sample.name] += sample.value
    return {
        "gateway_mib": gateway.memory_info().rss / 2**20,
        "triton_mib": sum(others) / 2**20,
        "files": gateway.num_fds(),
        "threads": gateway.num_threads(),
        "spool_bytes": samples[_SPOOL],
        "lag_s": samples[f"{_LAG}_sum"],
        "lags": samples[f"{_LAG}_count"],
        "cpu_s": server.cpu_s(),
    }


async def soak(server: Server, work: Soak, concurrency: int, seen: list[dict[str, float]]) -> None:
    """Send all, and put down what is seen meanwhile."""
    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        senders = asyncio.gather(*(work.sender() for _ in range(concurrency)))
        for number in count(1):
            await asyncio.wait([senders], timeout=began + number * _LOOK_S - time.perf_counter())
            found = await look(server, client)
            seen.append({"studies": work.done, "s": time.perf_counter() - began} | found)
            print(
                f"{work.done:7} studies {seen[-1]['s']:6.0f} s  gateway {found['gateway_mib']:.0f}"
                f" MiB  Triton {found['triton_mib']:.0f} MiB  files {found['files']:.0f}"
                f"  threads {found['threads']:.0f}",
                flush=True,
            )
            if senders.done():
                await senders
                break


def slope(seen: list[dict[str, float]], name: str) -> float:
    """By how much a figure grows with 10,000 studies, least squares over the second half."""
    half = seen[len(seen) // 2 :]
    studies = np.array([found["studies"] for found in half]) / 10_000
    return float(np.polyfit(studies, [found[name] for found in half], 1)[0])


def markdown(measured: dict[str, Any]) -> str:
    """Each figure at a tenth, at half, at the end and at most, how it grows, and a verdict."""
    seen = measured["seen"]
    last, figures = seen[-1], _with_rates(seen)
    lines = [
        f"{last['studies']:,} studies in {last['s'] / 60:.0f} minutes,"
        f" {last['studies'] / last['s']:.0f} a second; answers: "
        + ", ".join(f"{status} x {number:,}" for status, number in measured["answers"].items())
        + ".",
        "",
        "| figure | at a tenth | at half | at the end | most | growth over 10,000, second half |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, title in {
        "gateway_mib": "memory of the gateway, MiB",
        "triton_mib": "memory of Triton's processes, MiB",
        "files": "open files of the gateway",
        "threads": "threads of the gateway",
        "spool_bytes": "telemetry spool, bytes",
        "cpu_ms": "CPU ms a study and its deletion",
        "lag_ms": "lag of the event loop, mean ms",
    }.items():
        values = [found[name] for found in figures]
        cells = (values[len(values) // 10], values[len(values) // 2], values[-1], max(values))
        shown = " | ".join(f"{value:.1f}" for value in cells)
        lines.append(f"| {title} | {shown} | {slope(figures, name):+.2f} |")
    for name, title in (("gateway_mib", "The gateway"), ("triton_mib", "Triton")):
        growth = slope(figures, name)
        verdict = "is flat" if growth < _FLAT_MIB else "grows"
        lines += ["", f"{title} {verdict}: {growth:+.2f} MiB over 10,000 studies."]
    lines += ["", "![Memory, files, threads, CPU time and lag over the studies](images/soak.svg)"]
    return "\n".join(lines)


def draw(measured: dict[str, Any], file: Path) -> None:
    """All figures over the studies."""
    figures = _with_rates(measured["seen"])
    studies = [found["studies"] for found in figures]
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained", sharex=True)
    for axis, title, names in (
        (axes[0, 0], "resident memory, MiB", {"gateway_mib": "gateway", "triton_mib": "Triton"}),
        (axes[0, 1], "of the gateway", {"files": "open files", "threads": "threads"}),
        (axes[1, 0], "CPU ms a study and its deletion", {"cpu_ms": "all processes"}),
        (axes[1, 1], "lag of the event loop, mean ms", {"lag_ms": "gateway"}),
    ):
        for name, label in names.items():
            axis.plot(studies, [found[name] for found in figures], label=label, linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=7)
    for axis in axes[1]:
        axis.set_xlabel("studies")
    save(figure, file)


def _with_rates(seen: list[dict[str, float]]) -> list[dict[str, float]]:
    """The figures with what was used between each and the one before."""
    found = []
    for before, now in pairwise(seen):
        studies = max(1, now["studies"] - before["studies"])
        lags = max(1, now["lags"] - before["lags"])
        found.append(
            now
            | {
                "cpu_ms": (now["cpu_s"] - before["cpu_s"]) / studies * 1000,
                "lag_ms": (now["lag_s"] - before["lag_s"]) / lags * 1000,
            }
        )
    return found


def main() -> None:
    """Run it, print the table and the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=8)
    given = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    port = free_port()
    with (
        TemporaryDirectory(dir=PLACE) as folder,
        running(
            [sys.executable, "-m", "gateway", "up"],
            port,
            ready="/readyz",
            cwd=ROOT,
            env=gateway_environment(port, Path(folder), write_repository(Path(folder) / "models")),
            log=Path(folder) / "gateway.log",
        ) as server,
    ):
        work, seen = Soak(server.url, given.studies), []
        try:
            asyncio.run(soak(server, work, given.concurrency, seen))
        finally:  # an hour's figures are worth something even if it broke off
            measured = {"seen": seen, "answers": work.answers}
            keep("soak", measured)
    print(markdown(measured))


if __name__ == "__main__":
    main()
