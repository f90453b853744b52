"""Seconds from the start of a process to the answer to its first study.

    python -m bench.start [--times 7]

`radstream serve` before a Triton that is up, and `radstream up`, one after the other; a study is
sent again and again until it is answered with 200. Then what importing takes: the packages of
`python -X importtime`, each with all that it alone brings in.
"""

import argparse
import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from bench.results import PLACE, ROOT, keep, spread
from bench.serving.processes import free_port, running, running_triton
from bench.serving.targets import gateway_environment

_IMAGE = ROOT / "tests/data/images/person931_bacteria_2856.jpeg"
_MODELS = ROOT / "model_repository"
_WAIT_S = 60
_COMMANDS = ("serve", "up")
_SHOWN = 12


def first_answer(command: str, triton_url: str) -> dict[str, float]:
    """Seconds to the first connection and to the first 200, and CPU seconds of the tree."""
    port = free_port()
    with TemporaryDirectory(dir=PLACE) as folder:
        environment = gateway_environment(port, Path(folder), _MODELS)
        if command == "serve":
            environment |= {"RADSTREAM_TRITON__URL": triton_url}
        began = time.perf_counter()
        with running(
            [sys.executable, "-m", "gateway", command],
            port,
            ready="/livez",
            cwd=ROOT,
            env=environment,
            log=PLACE / "start.log",
        ) as server:
            live_s = time.perf_counter() - began
            stop = began + _WAIT_S
            while _answer(server.url) != 200:
                assert time.perf_counter() < stop, "no answer: see .benchmarks/start.log"
                time.sleep(0.01)
            answer_s = time.perf_counter() - began
            return {"live_s": live_s, "answer_s": answer_s, "cpu_s": server.cpu_s()}


def _answer(url: str) -> int:
    address = urlsplit(url)
    metadata = {"study_id": "first", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    headers = {"Content-Type": "image/jpeg", "RadStream-Metadata": json.dumps(metadata)}
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_WAIT_S)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/studies", _IMAGE.read_bytes(), headers)
        return connection.getresponse().status


def imports() -> dict[str, float]:
    """Milliseconds of importing the gateway, by the package whose modules took them themselves."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import gateway.app.server"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    packages: dict[str, float] = defaultdict(float)
    for self_us, module in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", told.stderr):
        packages[module.partition(".")[0]] += int(self_us) / 1000
    return dict(packages)


def markdown(measured: dict[str, list[dict[str, float]]]) -> str:
    """Medians, with the fastest and the slowest."""
    lines = [
        "| command | alive, s | first answer, s | CPU s until then |",
        "|---|---:|---:|---:|",
    ]
    for command, found in measured.items():
        cells = (
            spread([start[name] for start in found], 2) for name in ("live_s", "answer_s", "cpu_s")
        )
        lines.append(f"| `radstream {command}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Start again and again, print and keep the figures; print what importing takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    measured: dict[str, list[dict[str, float]]] = {command: [] for command in _COMMANDS}
    with running_triton(_MODELS) as triton:
        for _ in range(given.times):
            for command in _COMMANDS:
                measured[command].append(first_answer(command, triton.url))
    print(markdown(measured))
    keep("start", measured)
    packages = imports()
    print(f"\nimports, {sum(packages.values()):.0f} ms with the clock's own cost; of these")
    largest = sorted(packages.items(), key=lambda item: -item[1])[:_SHOWN]
    for package, took_ms in largest:
        print(f"{took_ms:8.0f} ms  {package}")


if __name__ == "__main__":
    main()
