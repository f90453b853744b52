"""Tables and a plot of what `python -m bench.serving` measured.

    python -m bench.serving.report

Prints Markdown for docs/performance.md and draws docs/images/serving.svg: medians over the rounds.
"""

import json
from collections import defaultdict
from statistics import median

import matplotlib as mpl

from bench.serving.targets import ROOT

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "radstream"  # the same figures draw the same file
from matplotlib import pyplot as plt  # noqa: E402 - after the backend is chosen

_RESULTS = ROOT / ".benchmarks" / "serving" / "results.json"
_PLOT = ROOT / "docs" / "images" / "serving.svg"
_FIGURES = ("cpu_ms", "per_s", "p50_ms", "p95_ms", "p99_ms")


def main() -> None:
    """Print the tables, draw the plot."""
    rounds = json.loads(_RESULTS.read_text())["rounds"]
    levels: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    others: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measured in rounds:
        floors = {item["target"]: item["cpu_ms"] for item in measured if "cpu_ms" in item}
        for item in measured:
            scaled = "scaled decoding" in item["target"]
            floor = floors["floor, scaled decoding" if scaled else "floor"]
            for name in ("cpu_ms", "per_s", "peak_mib", "own_peak_mib", "start_s"):
                if name in item:
                    others[item["target"]][name].append(item[name])
            for told in item.get("loads", ()):
                kept = levels[item["target"], told["concurrency"]]
                for name in _FIGURES:
                    kept[name].append(told[name])
                kept["ratio"].append(told["cpu_ms"] / floor)
    _print(levels, others)
    _draw(levels, others)


def _print(levels: dict, others: dict) -> None:
    print("| target | at once | CPU ms a study | of the floor | studies/s | p50 | p95 | p99 ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for target, figures in others.items():
        if "cpu_ms" in figures:
            cpu, rate = median(figures["cpu_ms"]), median(figures["per_s"])
            print(f"| {target} | | {cpu:.1f} | 1.00 | {rate:.1f} | | | |")
    for (target, level), figures in levels.items():
        cpu, rate, *times = (median(figures[name]) for name in _FIGURES)
        shown = " | ".join(f"{time:.0f}" for time in times)
        ratio = median(figures["ratio"])
        print(f"| {target} | {level} | {cpu:.1f} | {ratio:.2f} | {rate:.1f} | {shown} |")
    print("\n| target | peak MiB, all processes | first process | start to first answer, s |")
    print("|---|---:|---:|---:|")
    for target, figures in others.items():
        if "start_s" in figures:
            peak, own, start = (
                median(figures[name]) for name in ("peak_mib", "own_peak_mib", "start_s")
            )
            print(f"| {target} | {peak:.0f} | {own:.0f} | {start:.1f} |")


def _draw(levels: dict, others: dict) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    most = max(level for _, level in levels)
    wanted = 16 if any(level == 16 for _, level in levels) else most
    names = [target for target, level in levels if level == wanted]
    costs = [median(levels[name, wanted]["cpu_ms"]) for name in names]
    left.barh(names[::-1], costs[::-1], color="#4477aa")
    for title, figures in others.items():
        if "cpu_ms" in figures:
            left.axvline(median(figures["cpu_ms"]), color="#bb4444", linewidth=1, label=title)
    left.set_xlabel(f"CPU ms a study, {wanted} at once (lines: the floors)")
    for name in names:
        points = sorted(level for target, level in levels if target == name)
        rates = [median(levels[name, level]["per_s"]) for level in points]
        right.plot(points, rates, marker="o", label=name)
    right.set_xscale("log", base=4)
    right.set_xlabel("studies at once")
    right.set_ylabel("studies a second")
    right.legend(fontsize=7)
    figure.savefig(_PLOT, metadata={"Date": None})


if __name__ == "__main__":
    main()
