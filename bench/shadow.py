"""A study's time beside a shadow model, and without.

    python -m bench.shadow [--rounds 5] [--studies 40]

Three gateways on one Triton: two without a shadow model, one with a copy of the reference model in
silent trial. In each round each gets its studies, 1.4 MB JPEGs at random moments as from a ward,
one gateway after the other in an order that turns. What the two without differ by is the noise.
Before the next one the shadow model reads what still waits, so that it delays no other studies.
"""

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.results import PLACE, ROOT, keep, machine
from bench.serving.load import Connections, Request, new_id
from bench.serving.processes import Server, free_port, running, running_triton
from bench.serving.targets import gateway_environment
from bench.serving.work import large_file
from tests.support.gateway import metric

_MODEL, _TRIAL = "cxr_pneumonia", "cxr_trial"
_PAUSE_S = 0.4
_WARM_UP = 5
_QUEUE = 6
_SETTLE_S = 4.0
_NAMES = ("without", "without again", "with a shadow model")


@dataclass
class Target:
    """A gateway, and the 95th percentile of its studies in each round, in milliseconds."""

    name: str
    server: Server
    p95_ms: list[float] = field(default_factory=list)


def repository(folder: Path) -> Path:
    """A repository of the reference model and of a copy under another name."""
    models = folder / "models"
    for name in (_MODEL, _TRIAL):
        shutil.copytree(ROOT / "model_repository" / _MODEL, models / name)
    config = models / _TRIAL / "config.pbtxt"
    config.write_text(config.read_text().replace(f'name: "{_MODEL}"', f'name: "{_TRIAL}"', 1))
    return models


def document(folder: Path, *, with_shadow: bool) -> Path:
    """A routing document by which the reference model reads all, with the copy or without."""
    models = [{"name": _MODEL, "version": "1"}]
    if with_shadow:
        models.append({"name": _TRIAL, "version": "1", "mode": "shadow"})
    file = folder / "routing.json"
    rule = {"name": "all", "when": {"all": []}, "models": models}
    file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": [rule]}))
    return file


@contextmanager
def gateway(triton_url: str, models: Path, folder: Path, *, with_shadow: bool) -> Iterator[Server]:
    """A gateway of its own store."""
    folder.mkdir()
    port = free_port()
    settings = {
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_ROUTING__FILE": str(document(folder, with_shadow=with_shadow)),
        "RADSTREAM_SHADOW__QUEUE": str(_QUEUE),
    }
    with running(
        [sys.executable, "-m", "gateway", "serve"],
        port,
        ready="/readyz",
        cwd=ROOT,
        env=gateway_environment(port, folder, models) | settings,
        log=PLACE / "shadow.log",
    ) as server:
        yield server


async def p95_ms(server: Server, studies: int, seed: int) -> float:
    """The 95th percentile of studies that come at random moments, in milliseconds."""
    connections, pauses = Connections(server.url), random.Random(seed)  # noqa: S311 - no secret
    request = Request("/v1/studies", "multipart", large_file().read_bytes())
    seconds = []
    for number in range(_WARM_UP + studies):
        await asyncio.sleep(pauses.expovariate(1 / _PAUSE_S))
        began = time.perf_counter()
        assert await connections.exchange(request.parts(new_id())) == 200
        if number >= _WARM_UP:
            seconds.append(time.perf_counter() - began)
    return 1000 * statistics.quantiles(seconds, n=20)[-1]


def sample(server: Server, name: str, **labels: str) -> int:
    """A sample of the gateway's metrics now."""
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    return int(metric(text, f"radstream_shadow_{name}", **labels))


def settle(server: Server) -> int:
    """Return the number of readings by the copy once none waits and the last one is made."""
    read = {"model": _TRIAL, "version": "1", "outcome": "read"}
    before, now = -1, sample(server, "readings_total", **read)
    while sample(server, "waiting") or now != before:
        time.sleep(_SETTLE_S)
        before, now = now, sample(server, "readings_total", **read)
    return now


def markdown(targets: Sequence[Target], readings: int, sent: int) -> str:
    """The ratios of each round, and their medians."""
    base = targets[0]
    lines = ["| gateway | p95 ms, by round | ratio to the first | median |", "|---|---|---|---:|"]
    for target in targets:
        rounds = ", ".join(f"{value:.0f}" for value in target.p95_ms)
        if target is base:
            lines.append(f"| {target.name} | {rounds} | | |")
            continue
        ratios = [one / other for one, other in zip(target.p95_ms, base.p95_ms, strict=True)]
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {target.name} | {rounds} | {told} | {statistics.median(ratios):.2f} |")
    lines += ["", f"{readings} of {sent} images were read in shadow by the end.", machine()]
    return "\n".join(lines)


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--studies", type=int, default=40)
    given = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=PLACE) as name, ExitStack() as stack:
        folder = Path(name)
        models = repository(folder)
        triton = stack.enter_context(running_triton(models))
        targets, readings = [], 0
        for place, title in enumerate(_NAMES):
            opened = gateway(
                triton.url, models, folder / f"gateway-{place}", with_shadow=place == 2
            )
            targets.append(Target(title, stack.enter_context(opened)))
        for turn in range(given.rounds):
            first = turn % len(targets)
            for target in (*targets[first:], *targets[:first]):
                found = asyncio.run(p95_ms(target.server, given.studies, seed=turn))
                target.p95_ms.append(found)
                readings = settle(targets[-1].server)
    sent = given.rounds * (given.studies + _WARM_UP)
    keep("shadow", {target.name: target.p95_ms for target in targets})
    print(markdown(targets, readings, sent))


if __name__ == "__main__":
    main()
