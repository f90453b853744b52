"""Measures every target on the same work, in one run.

    python -m bench.serving [--studies 200] [--rounds 3] [--only NAME …]

Makes an environment for the other frameworks under .benchmarks/ at the first run. A round goes
through all targets one after the other, so that a slow minute of the machine hits all alike;
tables show the medians over the rounds, and ratios are of one round. Writes
.benchmarks/serving/results.json, of which `python -m bench.serving.report` makes docs/performance.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench.serving.processes import Server
from bench.serving.targets import ROOT, Target, floor, prepare
from bench.serving.work import large_jpeg

_PLACE = ROOT / ".benchmarks" / "serving"
_WARM_UP = 24

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


def load(server: Server, kind: str, image: Path, studies: int, concurrency: int) -> dict:
    """What the load generator measured, with the server's CPU time."""
    before = server.cpu_s()
    told = subprocess.run(
        [
            *(sys.executable, "-m", "bench.serving.load", server.url, "/v1/studies", kind),
            *(str(image), "--studies", str(studies), "--concurrency", str(concurrency)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    measured = json.loads(told.stdout)
    cpu = server.cpu_s() - before
    seconds = sorted(measured["seconds"])
    return {
        "concurrency": concurrency,
        "cpu_ms": cpu / studies * 1000,
        "per_s": studies / measured["wall_s"],
        **{f"p{p}_ms": seconds[int(len(seconds) * p / 100)] * 1000 for p in (50, 95, 99)},
        "refused": studies - measured["statuses"].get("200", 0),
        "generator_cpu_ms": measured["own_cpu_s"] / studies * 1000,
    }


def measure(target: Target, image: Path, studies: int, levels: list[int]) -> dict:
    """One round of one target."""
    with target.running() as server:
        first = load(server, target.kind, image, 1, 1)
        load(server, target.kind, image, _WARM_UP, 4)
        loads = [load(server, target.kind, image, studies, level) for level in levels]
        return {
            "target": target.title,
            "start_s": server.start_s + first["p50_ms"] / 1000,
            "loads": loads,
            "peak_mib": server.peak_mib(),
            "own_peak_mib": server.own_peak_mib(),
        }


def _line(result: dict, told: dict) -> str:
    return (
        f"{result['target']:34} {told['cpu_ms']:7.1f} ms CPU {told['per_s']:7.1f}/s"
        f"  c={told['concurrency']:<3} p50 {told['p50_ms']:.0f} p99 {told['p99_ms']:.0f}"
        f" refused {told['refused']} peak {result['peak_mib']:.0f} MiB"
        f" first {result['start_s']:.1f} s"
    )


def main() -> None:
    """Run the rounds, print a line for each measurement, write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", type=int, nargs="*", default=[1, 4, 16, 64])
    parser.add_argument("--only", nargs="*")
    arguments = parser.parse_args()
    _PLACE.mkdir(parents=True, exist_ok=True)
    prepare()
    image = _PLACE / "large.jpg"
    if not image.exists():
        large_jpeg(image)
    rounds = []
    for number in range(arguments.rounds):
        measured = []
        for draft in (False, True):
            decoder = "pillow" if draft else "simplejpeg"
            told = floor("cxr_pneumonia", image, arguments.studies, decoder, draft=draft)
            cpu_ms = told["cpu_s"] / told["studies"] * 1000
            per_s = told["studies"] / told["wall_s"]
            title = "floor, scaled decoding" if draft else "floor"
            measured.append({"target": title, "cpu_ms": cpu_ms, "per_s": per_s})
            print(f"{number} {title:34} {cpu_ms:7.1f} ms CPU {per_s:7.1f}/s", flush=True)
        for target in _TARGETS:
            if arguments.only and target.title not in arguments.only:
                continue
            result = measure(target, image, arguments.studies, arguments.levels)
            measured.append(result)
            for told in result["loads"]:
                print(number, _line(result, told), flush=True)
        rounds.append(measured)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "rounds": rounds}
    (_PLACE / "results.json").write_text(json.dumps(machine))
    print(
        "median generator ms",
        statistics.median(
            told["generator_cpu_ms"]
            for measured in rounds
            for result in measured
            for told in result.get("loads", ())
        ),
    )


if __name__ == "__main__":
    main()
