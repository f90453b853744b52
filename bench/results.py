"""Measurements of the benchmarks: one JSON document each, under .benchmarks/."""

import datetime as dt
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".benchmarks"


def keep(name: str, measured: Any) -> None:
    """Write what a benchmark measured, with the machine, the commit and the day."""
    PLACE.mkdir(exist_ok=True)
    document = {"machine": machine(), "measured": measured}
    (PLACE / f"{name}.json").write_text(json.dumps(document))


def keep_rounds(
    name: str, count: int, measured: Callable[[], T], markdown: Callable[[list[T]], str]
) -> None:
    """Measure so many rounds, print each and then all, and keep them."""
    rounds: list[T] = []
    for _ in range(count):
        rounds.append(measured())
        print(markdown(rounds[-1:]), flush=True)
    print(markdown(rounds))
    keep(name, rounds)


def kept(name: str) -> dict[str, Any] | None:
    """The document of the last run, if there was one."""
    file = PLACE / f"{name}.json"
    if not file.exists():
        return None
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def spread(values: Sequence[float], digits: int) -> str:
    """The median, with least and greatest where there are several."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def machine() -> str:
    """The processor, the commit and the day, for a line below a table."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in [*Path("/proc/cpuinfo").read_text().splitlines(), "model name: unknown CPU"]
        if line.startswith("model name")
    )
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    commit = done.stdout.strip() or "unknown"
    today = dt.datetime.now(dt.UTC).date()
    return f"{os.cpu_count()} cores of {cpu}, commit {commit}, {today}"
