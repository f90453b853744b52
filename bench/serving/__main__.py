"""Measures every target on the same work, in one run.

    python -m bench.serving [--studies 200] [--rounds 3] [--only NAME …]

Makes an environment for the other frameworks under .benchmarks/ at the first run. A round goes
through all targets one after the other, so that a slow minute of the machine hits all alike. Each
is sent studies so many at a time, and then at 70 % of the best rate it showed, at random moments.
Afterwards `python -m bench.report` writes the tables and the picture of docs/performance.md.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from bench.results import keep
from bench.serving.processes import Server, generated
from bench.serving.targets import Target, floor, prepare_models, prepare_peers
from bench.serving.work import large_file

_WARM_UP = 24
_SHARE = 0.7

_TARGETS = [
    Target("radstream"),
    Target("radstream, raw body", kind="raw"),
    Target("plain FastAPI"),
    Target("LitServe"),
    Target("BentoML"),
    Target("prototype's way"),
    Target("radstream", draft=True),
    Target("plain FastAPI", draft=True),
    Target("LitServe", draft=True),
    Target("BentoML", draft=True),
]


def load(server: Server, kind: str, image: Path, studies: int, *model: str) -> dict[str, float]:
    """Run the load generator; return its measurements with the server's CPU time."""
    before = (server.cpu_s(), *server.own_cpu_s())
    measured = generated(
        *("bench.serving.load", server.url, "/v1/studies", kind, str(image)),
        *("--studies", str(studies), *model),
    )
    after = (server.cpu_s(), *server.own_cpu_s())
    cpu_ms, loop_ms, own_ms = (
        (now - then) / studies * 1000 for now, then in zip(after, before, strict=True)
    )
    seconds = sorted(measured["seconds"])
    return {
        "cpu_ms": cpu_ms,
        "loop_ms": loop_ms,
        "threads_ms": own_ms - loop_ms,
        "per_s": studies / measured["wall_s"],
        **{f"p{p}_ms": seconds[int(len(seconds) * p / 100)] * 1000 for p in (50, 95, 99)},
        "refused": studies - measured["statuses"].get("200", 0),
        "generator_cpu_ms": measured["own_cpu_s"] / studies * 1000,
    }


def measure(target: Target, image: Path, studies: int, levels: list[int]) -> dict[str, Any]:
    """One round of one target."""
    with target.running() as server:
        first = load(server, target.kind, image, 1, "--concurrency=1")
        load(server, target.kind, image, _WARM_UP, "--concurrency=4")
        loads = [
            load(server, target.kind, image, studies, f"--concurrency={level}")
            | {"concurrency": level}
            for level in levels
        ]
        peaks = {"peak_mib": server.peak_mib(), "own_peak_mib": server.own_peak_mib()}
        rate = _SHARE * max(told["per_s"] for told in loads)
        steady = load(server, target.kind, image, studies, f"--rate={rate}") | {"rate": rate}
        for told in (*loads, steady):
            print(_line(target.title, told), flush=True)
        return {
            "target": target.title,
            "start_s": server.start_s + first["p50_ms"] / 1000,
            "loads": loads,
            "steady": steady,
            **peaks,
        }


def _line(title: str, told: dict[str, float]) -> str:
    model = f"{told['rate']:.1f}/s" if "rate" in told else f"{told['concurrency']} at once"
    return (
        f"{title:34} {model:>11} {told['cpu_ms']:7.1f} ms CPU {told['per_s']:7.1f}/s"
        f"  event loop {told['loop_ms']:.1f} ms  p50 {told['p50_ms']:.0f}"
        f" p99 {told['p99_ms']:.0f} ms refused {told['refused']}"
    )


def main() -> None:
    """Run the rounds, print a line for each measurement, keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", type=int, nargs="*", default=[1, 4, 16, 64])
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    prepare_models()
    prepare_peers()
    image = large_file()
    rounds = []
    for number in range(given.rounds):
        print(f"round {number + 1} of {given.rounds}", flush=True)
        measured = [_floor(image, given.studies, draft=draft) for draft in (False, True)]
        measured += [
            measure(target, image, given.studies, given.levels)
            for target in _TARGETS
            if not given.only or target.title in given.only
        ]
        rounds.append(measured)
        keep("serving", rounds)
    costs = [
        told["generator_cpu_ms"]
        for measured in rounds
        for result in measured
        for told in result.get("loads", ())
    ]
    print(f"the load generator's own: {statistics.median(costs):.1f} ms of CPU a study")


def _floor(image: Path, studies: int, *, draft: bool) -> dict[str, Any]:
    decoder = "pillow" if draft else "simplejpeg"
    told = floor("cxr_pneumonia", image, studies, decoder, draft=draft)
    cpu_ms, per_s = (
        told["cpu_s"] / told["studies"] * 1000,
        told["studies"] / told["wall_s"],
    )
    title = "floor, scaled decoding" if draft else "floor"
    print(f"{title:34} {'':11} {cpu_ms:7.1f} ms CPU {per_s:7.1f}/s", flush=True)
    return {"target": title, "cpu_ms": cpu_ms, "per_s": per_s}


if __name__ == "__main__":
    main()
