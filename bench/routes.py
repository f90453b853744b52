"""From a study's arrival to its stored result, by each way in and with each kind of store.

    python -m bench.routes [--studies 100]

Studies are 1.4 MB JPEGs for the reference model. They come one after the other for the times, and
four at once, files in a watched folder 16, for the CPU time, which is of the gateway's process
alone. S3 is an emulator on the same machine: the table has its times as they are and without what
the gateway waited for it, that is without the time in which at least one request to S3 was under
way. Of a dropped pair both events are posted together.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.results import PLACE, ROOT, keep
from bench.serving.load import Connections, Request, new_id
from bench.serving.processes import Server, free_port, running, running_triton
from bench.serving.targets import gateway_environment
from bench.serving.work import large_file
from tests.support.aws import CREDENTIALS, REGION, Ministack, running_ministack

_MODELS = ROOT / "model_repository"
_EVENT = json.loads((ROOT / "tests/data/events/image.json").read_text())
_IMAGES, _RESULTS = "radstream-bench-images", "radstream-bench-results"
_AT_ONCE = 4
# Each waits a second to be settled, in which the gateway looks at its models and its folder.
_DROPPED_AT_ONCE = 16
_WARM_UP = 10
_SETTLE_S = 1.0
_DROPPED = 20

Span = tuple[float, float]
Send = Callable[[str], Awaitable[None]]


@dataclass
class Route:
    """Measurements of one way in.

    Attributes
    ----------
    spans
        Begin and answer of each study, one after the other, in seconds.
    cpu_ms
        Of the gateway's process a study, several at once.
    s3
        Begin and end of each request to S3.
    """

    title: str
    spans: dict[str, Span]
    cpu_ms: float
    s3: list[Span] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Times in milliseconds, as they are and without those of S3; its calls a study."""
        spans = self.spans.values()
        whole = sorted(ended - began for began, ended in spans)
        waits = [within(span, self.s3) for span in spans]
        own = sorted(
            ended - began - sum(until - since for since, until in waited)
            for (began, ended), waited in zip(spans, waits, strict=True)
        )
        calls = sum(began <= at < ended for began, ended in spans for at, _ in self.s3)
        return {
            "title": self.title,
            "ms": [1000 * _at(whole, share) for share in (0.5, 0.95)],
            "own_ms": [1000 * _at(own, share) for share in (0.5, 0.95)],
            "calls": calls / len(self.spans),
            "waits": sum(map(len, waits)) / len(self.spans),
            "cpu_ms": self.cpu_ms,
        }


def within(span: Span, others: Sequence[Span]) -> list[Span]:
    """The stretches of a span that are covered by at least one of the others, in order."""
    began, ended = span
    covered: list[Span] = []
    for since, until in sorted(others):
        start, stop = max(since, began), min(until, ended)
        if start >= stop:
            continue
        if covered and start <= covered[-1][1]:
            covered[-1] = covered[-1][0], max(covered[-1][1], stop)
        else:
            covered.append((start, stop))
    return covered


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measured(
    title: str, server: Server, studies: Sequence[str], send: Send, *, at_once: int = _AT_ONCE
) -> Route:
    """A route: the studies one after the other, then as many again at once; see `Route`."""
    half = len(studies) // 2
    for study_id in studies[:_WARM_UP]:
        await send(study_id)
    spans = {}
    for study_id in studies[_WARM_UP:half]:
        began = time.perf_counter()
        await send(study_id)
        spans[study_id] = began, time.perf_counter()
    times = server.process.cpu_times()
    left = iter(studies[half:])

    async def sender() -> None:
        for study_id in left:
            await send(study_id)

    await asyncio.gather(*(sender() for _ in range(at_once)))
    now = server.process.cpu_times()
    cpu_s = now.user + now.system - times.user - times.system
    return Route(title, spans, cpu_s / (len(studies) - half) * 1000)


async def posted(title: str, server: Server, count: int) -> Route:
    """REST, multipart."""
    connections = Connections(server.url)
    request = Request("/v1/studies", "multipart", large_file().read_bytes())

    async def send(study_id: str) -> None:
        assert await connections.exchange(request.parts(study_id)) == 200

    return await measured(title, server, [new_id() for _ in range(count)], send)


async def announced(title: str, server: Server, ministack: Ministack, count: int) -> Route:
    """Pairs in a bucket, of each of which both events come together."""
    s3, image = ministack.client("s3"), large_file().read_bytes()
    studies = [new_id() for _ in range(count)]
    events = {
        study_id: [
            _put(s3, f"images/{study_id}/x.jpg", image),
            _put(s3, f"images/{study_id}/x.json", sidecar(study_id)),
        ]
        for study_id in studies
    }
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:

        async def send(study_id: str) -> None:
            answers = await asyncio.gather(
                *(client.post("/v1/events/s3", json=event) for event in events[study_id])
            )
            outcomes = [answer.json()["outcome"] for answer in answers]
            assert sorted(outcomes) == ["duplicate", "processed"], outcomes

        return await measured(title, server, studies, send)


async def dropped(title: str, server: Server, folder: Path) -> Route:
    """Files in a watched folder, without the second in which they have to stay as they are."""

    async def send(study_id: str) -> None:
        place = folder / "drop" / study_id
        place.mkdir(parents=True)
        shutil.copyfile(large_file(), place / "x.jpg")
        (place / "x.json").write_bytes(sidecar(study_id))
        result = folder / "store" / "results" / study_id / "result.json"
        while not result.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.002)

    studies = [new_id() for _ in range(2 * (_WARM_UP + _DROPPED))]
    route = await measured(title, server, studies, send, at_once=_DROPPED_AT_ONCE)
    route.spans = {
        study_id: (began + _SETTLE_S, ended) for study_id, (began, ended) in route.spans.items()
    }
    return route


def sidecar(study_id: str) -> bytes:
    """A study's metadata."""
    document = {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    return json.dumps(document).encode()


def _put(s3: Any, key: str, data: bytes) -> dict[str, Any]:
    """The event of an object that is put into the bucket."""
    answer = s3.put_object(Bucket=_IMAGES, Key=key, Body=data)
    event: dict[str, Any] = json.loads(json.dumps(_EVENT))
    event["detail"]["bucket"]["name"] = _IMAGES
    event["detail"]["object"] |= {
        "key": key,
        "version-id": answer["VersionId"],
        "etag": answer["ETag"].strip('"'),
    }
    return event


def on_folder(triton_url: str, folder: Path, count: int) -> list[Route]:
    """The ways in of a gateway whose store is a folder."""
    port = free_port()
    settings = {
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_DROPFOLDER__WATCH": "true",
        "RADSTREAM_DROPFOLDER__FOLDER": str(folder / "drop"),
        "RADSTREAM_DROPFOLDER__SETTLE_S": str(_SETTLE_S),
    }
    with running(
        [sys.executable, "-m", "gateway", "serve"],
        port,
        ready="/readyz",
        cwd=ROOT,
        env=gateway_environment(port, folder, _MODELS) | settings,
        log=PLACE / "routes.log",
    ) as server:
        return [
            asyncio.run(posted("REST, store in a folder", server, count)),
            asyncio.run(dropped("drop folder", server, folder)),
        ]


def on_s3(triton_url: str, folder: Path, count: int) -> list[Route]:
    """The ways in of a gateway whose store is S3."""
    port, times = free_port(), folder / "times.json"
    with running_ministack(folder) as ministack:
        s3 = ministack.client("s3")
        for bucket in (_IMAGES, _RESULTS):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        settings = {
            "RADSTREAM_TRITON__URL": triton_url,
            "RADSTREAM_STORE__KIND": "s3",
            "RADSTREAM_STORE__ENDPOINT": ministack.url,
            "RADSTREAM_STORE__IMAGES_BUCKET": _IMAGES,
            "RADSTREAM_STORE__RESULTS_BUCKET": _RESULTS,
            # No call of S3 but those of the studies.
            "RADSTREAM_DROPFOLDER__SWEEP_S": "3600",
            "RADSTREAM_PENDING__SWEEP_S": "3600",
        }
        with running(
            [sys.executable, "-m", "bench.s3_times", str(times), "serve"],
            port,
            ready="/readyz",
            cwd=ROOT,
            env=gateway_environment(port, folder, _MODELS) | CREDENTIALS | settings,
            log=PLACE / "routes.log",
        ) as server:
            rest = asyncio.run(posted("REST, store on S3", server, count))
            event = asyncio.run(
                announced("S3 events of a pair, until both answers", server, ministack, count)
            )
    requests = json.loads(times.read_text())
    for route in (rest, event):
        route.s3 = [(began, ended) for began, ended, _ in requests]
    written = {name: ended for _, ended, name in requests}
    stored = {
        study_id: (began, written[f"PUT /{_RESULTS}/results/{study_id}/result.json"])
        for study_id, (began, _) in event.spans.items()
    }
    return [
        rest,
        replace(event, title="S3 events of a pair, until its result is stored", spans=stored),
        event,
    ]


def markdown(routes: Sequence[dict[str, Any]]) -> str:
    """A line a way in."""
    lines = [
        "| way in | p50 ms | p95 | S3: calls | waits | p50 ms without S3 | p95 | CPU ms, gateway |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for route in routes:
        whole = " | ".join(f"{value:.0f}" for value in route["ms"])
        own = " | ".join(f"{value:.0f}" for value in route["own_ms"])
        s3 = f"{route['calls']:.0f} | {route['waits']:.0f}"
        lines.append(f"| {route['title']} | {whole} | {s3} | {own} | {route['cpu_ms']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all, print and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=100)
    given = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    routes: list[dict[str, Any]] = []
    count = 2 * (given.studies + _WARM_UP)
    with running_triton(_MODELS) as triton:
        for kind in (on_folder, on_s3):
            with TemporaryDirectory(dir=PLACE) as folder:
                routes += [route.figures() for route in kind(triton.url, Path(folder), count)]
    keep("routes", routes)
    print(markdown(routes))


if __name__ == "__main__":
    main()
