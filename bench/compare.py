"""The parts of a study's way beside what they were: information, no gate.

    python -m bench.compare            runs bench/test_micro.py and prints the table
    python -m bench.compare --write    and makes it what later runs are compared with

A machine's times say nothing about another's, so each part's best time is divided by that of a
fixed loop of Python in the same run, and bench/micro.json keeps these ratios. They depend on the
processor still: a change of less than a third means little. Fails only if a benchmark does.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.results import ROOT

_BASELINE = ROOT / "bench" / "micro.json"
_CALIBRATION = "test_calibration"
_BRIEF = ("--benchmark-max-time=0.5", "--benchmark-min-rounds=5", "--benchmark-disable-gc")


def measure() -> dict[str, float]:
    """Best seconds of each part.

    Raises
    ------
    subprocess.CalledProcessError
        A benchmark could not run; pytest has said why.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "micro.json"
        command = [sys.executable, "-m", "pytest", "bench/test_micro.py", "--quiet", "--no-header"]
        subprocess.run(
            [*command, *_BRIEF, "--benchmark-quiet", f"--benchmark-json={file}"],
            cwd=ROOT,
            check=True,
        )
        found = json.loads(file.read_text())["benchmarks"]
    return {benchmark["name"]: benchmark["stats"]["min"] for benchmark in found}


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    """Each part's time over that of the calibration, which is left out."""
    unit = seconds[_CALIBRATION]
    return {name: took / unit for name, took in seconds.items() if name != _CALIBRATION}


def table(seconds: dict[str, float], baseline: dict[str, float]) -> str:
    """A line a part: milliseconds here, its ratio now and before, and by how much it changed."""
    lines = [f"{'part':28}{'ms here':>10}{'ratio':>10}{'before':>10}{'change':>9}"]
    for name, ratio in ratios(seconds).items():
        before = baseline.get(name)
        old = f"{before:10.3f}{ratio / before - 1:+9.0%}" if before else f"{'new':>10}"
        part = name.removeprefix("test_")
        lines.append(f"{part:28}{seconds[name] * 1000:10.3f}{ratio:10.3f}{old}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write if asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    seconds = measure()
    print(table(seconds, json.loads(_BASELINE.read_text()) if _BASELINE.exists() else {}))
    if given.write:
        kept = {name: round(ratio, 3) for name, ratio in ratios(seconds).items()}
        _BASELINE.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
