"""A `stat` study's time under a flood of research, and without.

    python -m bench.lanes [--rounds 3] [--studies 12]

One gateway on one Triton. In each round come `stat` studies alone, once more alone, and with ten
research studies to each, in an order that turns; all are accepted with 202 and processed after
that. A study's time is from its arrival to its completion, as its document has them. The two times
alone differ by the noise. The aim is at most the time alone and one inference. Each round ends with
a flood of research alone, whose studies in a second are told.
"""

import argparse
import asyncio
import datetime as dt
import json
import random
import secrets
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.results import PLACE, ROOT, keep, machine
from bench.serving.processes import Server, free_port, running, running_triton
from bench.serving.targets import gateway_environment
from bench.serving.work import large_file
from tests.support.gateway import metadata, multipart

_MODELS = ROOT / "model_repository"
_PAUSE_S = 0.3
_FLOOD = 10
_ALONE = 60
_LOOK_S = 1.0
_NAMES = ("alone", "alone again", "with ten research studies to each")


def document(folder: Path) -> Path:
    """A routing document whose lanes follow from the study_id."""
    rules = [
        {"name": lane, "when": {"field": "metadata.study_id", "glob": f"{lane}-*"}, "lane": lane}
        for lane in ("stat", "research")
    ]
    file = folder / "routing.json"
    file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": rules, "otherwise": {}}))
    return file


async def send(client: httpx.AsyncClient, lane: str, image: bytes) -> str:
    """Have a study accepted; return its study_id."""
    study_id = f"{lane}-{secrets.token_hex(8)}"
    sent = multipart(metadata(study_id=study_id), image)
    answer = await client.post("/v1/studies", headers={"Prefer": "respond-async"}, **sent)
    assert answer.status_code == 202, answer.text
    return study_id


async def completed(client: httpx.AsyncClient, study_id: str) -> dict[str, Any]:
    """Return a study once it is completed."""
    while True:
        view: dict[str, Any] = (await client.get(f"/v1/studies/{study_id}")).json()
        if view["status"] == "completed":
            return view
        await asyncio.sleep(_LOOK_S)


async def measured(server: Server, studies: int, seed: int, flood: int) -> tuple[float, float]:
    """Return the 95th percentile of the stat studies' times, and the median of their inference."""
    pauses, image = random.Random(seed), large_file().read_bytes()  # noqa: S311 - no secret
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        urgent, others = [], []
        for _ in range(studies):
            await asyncio.sleep(pauses.expovariate(1 / _PAUSE_S))
            sent = (send(client, "research", image) for _ in range(flood))
            others += await asyncio.gather(*sent)
            urgent.append(await send(client, "stat", image))
        views = [await completed(client, study_id) for study_id in urgent]
        ended = max((_moment(view["completed_at"]) for view in views), default=0.0)
        late = [_moment((await completed(client, each))["completed_at"]) > ended for each in others]
    if flood:
        print(f"{sum(late)} of {len(late)} research studies waited on behind the last stat study")
    seconds = [_moment(view["completed_at"]) - _moment(view["received_at"]) for view in views]
    infer_ms = [
        image["readings"][0]["timings_ms"]["infer"] for view in views for image in view["images"]
    ]
    return 1000 * statistics.quantiles(seconds, n=20)[-1], statistics.median(infer_ms)


async def throughput(server: Server) -> float:
    """Return the research studies that are done in a second, with nothing beside them."""
    image = large_file().read_bytes()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        sent = await asyncio.gather(*(send(client, "research", image) for _ in range(_ALONE)))
        views = [await completed(client, study_id) for study_id in sent]
    began = min(_moment(view["received_at"]) for view in views)
    return len(views) / (max(_moment(view["completed_at"]) for view in views) - began)


def _moment(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def markdown(p95_ms: dict[str, list[float]], infer_ms: float, research: list[float]) -> str:
    """The times by round, and their medians."""
    lines = ["| `stat` studies | p95 ms, by round | median |", "|---|---|---:|"]
    for name, values in p95_ms.items():
        told = ", ".join(f"{value:.0f}" for value in values)
        lines.append(f"| {name} | {told} | {statistics.median(values):.0f} |")
    told = ", ".join(f"{value:.1f}" for value in research)
    lines += [
        "",
        f"One inference alone: {infer_ms:.0f} ms. Research alone: {told} studies a second.",
    ]
    return "\n".join([*lines, machine()])


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--studies", type=int, default=12)
    given = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    p95_ms: dict[str, list[float]] = {name: [] for name in _NAMES}
    infer_ms, research = [], []
    with TemporaryDirectory(dir=PLACE) as name, running_triton(_MODELS) as triton:
        folder, port = Path(name), free_port()
        settings = {
            "RADSTREAM_TRITON__URL": triton.url,
            "RADSTREAM_ROUTING__FILE": str(document(folder)),
        }
        with running(
            [sys.executable, "-m", "gateway", "serve"],
            port,
            ready="/readyz",
            cwd=ROOT,
            env=gateway_environment(port, folder, _MODELS) | settings,
            log=PLACE / "lanes.log",
        ) as server:
            asyncio.run(measured(server, 2, seed=-1, flood=0))  # to warm up
            for turn in range(given.rounds):
                first = turn % len(_NAMES)
                for title in (*_NAMES[first:], *_NAMES[:first]):
                    flood = _FLOOD if title == _NAMES[-1] else 0
                    found, one = asyncio.run(measured(server, given.studies, turn, flood))
                    p95_ms[title].append(found)
                    if not flood:
                        infer_ms.append(one)
                research.append(asyncio.run(throughput(server)))
    keep("lanes", p95_ms)
    print(markdown(p95_ms, statistics.median(infer_ms), research))


if __name__ == "__main__":
    main()
