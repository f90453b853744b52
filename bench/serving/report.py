"""Tables and a plot of what `python -m bench.serving` measured: medians over its rounds."""

from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.plots import plt, save
from bench.results import spread

Round = list[dict[str, Any]]
Rounds = list[Round]
_PLOTTED = 16
_PEERS = ("plain FastAPI", "LitServe", "BentoML")
_SCALED = ", scaled decoding"


def markdown(rounds: Rounds) -> str:
    """The tables. Ratios are of one round; in parentheses the least and the greatest round."""
    tables = (_goals, _costs, _parts, _levels, _steady, _processes)
    return "\n\n".join(table(rounds) for table in tables)


def draw(rounds: Rounds, file: Path) -> None:
    """CPU time and rate of all targets."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    found = _by_target(rounds)
    targets = [title for title in found if "loads" in found[title][0]]
    levels = [told["concurrency"] for told in found[targets[0]][0]["loads"]]
    plotted = _plotted(found[targets[0]][0])
    costs = [_values(rounds, title, plotted, "cpu_ms") for title in targets]
    middles = [median(values) for values in costs]
    errors = [
        [middle - min(values) for middle, values in zip(middles, costs, strict=True)],
        [max(values) - middle for middle, values in zip(middles, costs, strict=True)],
    ]
    bars = left.barh(targets, middles, xerr=errors, color="#4477aa")
    left.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    left.margins(x=0.1)
    left.invert_yaxis()
    for title, style in (("floor", "-"), ("floor, scaled decoding", "--")):
        cost = median(result["cpu_ms"] for result in found[title])
        left.axvline(cost, color="#bb4444", linewidth=1, linestyle=style, label=title)
    left.legend(fontsize=7)
    left.set_xlabel(f"CPU ms a study, {plotted} at once")
    for title in targets:
        rates = [median(_values(rounds, title, level, "per_s")) for level in levels]
        right.plot(levels, rates, marker="o", markersize=3, label=title)
    right.set_xscale("log", base=2)
    right.set_xticks(levels, [str(level) for level in levels])
    right.set_ylim(bottom=0)
    right.set_xlabel("studies at once")
    right.set_ylabel("studies a second")
    right.legend(fontsize=7)
    save(figure, file)


def _goals(rounds: Rounds) -> str:
    """Return the goals beside what was reached, each a figure of a round."""
    scaled = f"radstream{_SCALED}"
    cost, rate = (partial(_of_best_peer, name=name) for name in ("cpu_ms", "per_s"))
    rows = [
        ("CPU, of the best peer's", "at most 0.75", lambda told: cost(told, "radstream")),
        ("rate, of the best peer's", "at least 1.3", lambda told: rate(told, "radstream")),
        ("CPU, scaled decoding in all", "at most 1.0", lambda told: cost(told, scaled)),
        ("rate, scaled decoding in all", "at least 1.0", lambda told: rate(told, scaled)),
        ("event loop, ms a study", "at most 2.5", lambda told: _load(told, scaled)["loop_ms"]),
        (
            "event loop, of all CPU with scaled decoding",
            "at most 0.11",
            lambda told: _load(told, scaled)["loop_ms"] / _load(told, scaled)["cpu_ms"],
        ),
        (
            "p99 of p50 at 70 % of the rate",
            "at most 3.8",
            lambda told: (
                _result(told, "radstream")["steady"]["p99_ms"]
                / _result(told, "radstream")["steady"]["p50_ms"]
            ),
        ),
        (
            "peak of the gateway, MiB",
            "at most 300",
            lambda told: _result(told, "radstream")["own_peak_mib"],
        ),
    ]
    lines = ["| figure | goal | reached |", "|---|---:|---:|"]
    for title, goal, figure in rows:
        lines.append(f"| {title} | {goal} | {spread([figure(told) for told in rounds], 2)} |")
    return "\n".join(lines)


def _of_best_peer(measured: Round, title: str, name: str) -> float:
    """Return a figure at the plotted level over that of the best peer that decodes alike."""
    scaled = _SCALED if title.endswith(_SCALED) else ""
    titles = {f"{peer}{scaled}" for peer in _PEERS} & {told["target"] for told in measured}
    peers = [_load(measured, peer)[name] for peer in titles]
    best = min(peers) if name == "cpu_ms" else max(peers)
    return _load(measured, title)[name] / best


def _load(measured: Round, title: str) -> dict[str, float]:
    """Return what one target did at the plotted level."""
    result = _result(measured, title)
    level = _plotted(result)
    return next(told for told in result["loads"] if told["concurrency"] == level)


def _result(measured: Round, title: str) -> dict[str, Any]:
    return next(result for result in measured if result["target"] == title)


def _costs(rounds: Rounds) -> str:
    """Return a table of a study's cost at the plotted level, over the floor that decodes alike."""
    lines = ["| target | CPU ms a study | of the floor | over the floor, ms |"]
    lines.append("|---|---:|---:|---:|")
    for title, found in _by_target(rounds).items():
        if "loads" not in found[0]:
            costs = [result["cpu_ms"] for result in found]
            lines.append(f"| {title} | {spread(costs, 1)} | 1.00 | |")
            continue
        level = _plotted(found[0])
        costs = _values(rounds, title, level, "cpu_ms")
        floors = [_floor(measured, title) for measured in rounds]
        pairs = list(zip(costs, floors, strict=True))
        ratio = spread([cost / floor for cost, floor in pairs], 2)
        over = spread([cost - floor for cost, floor in pairs], 1)
        lines.append(f"| {title}, {level} at once | {spread(costs, 1)} | {ratio} | {over} |")
    return "\n".join(lines)


def _parts(rounds: Rounds) -> str:
    """Return a table of where RadStream's CPU time of a study goes, at the plotted level."""
    lines = [
        "| CPU ms a study | event loop | gateway's other threads | Triton |",
        "|---|---:|---:|---:|",
    ]
    for title in ("radstream", f"radstream{_SCALED}"):
        loads = [_load(told, title) for told in rounds]
        triton = [told["cpu_ms"] - told["loop_ms"] - told["threads_ms"] for told in loads]
        parts = [[told[name] for told in loads] for name in ("loop_ms", "threads_ms")]
        cells = " | ".join(spread(values, 1) for values in (*parts, triton))
        lines.append(f"| {title} | {cells} |")
    return "\n".join(lines)


def _levels(rounds: Rounds) -> str:
    lines = ["| target | at once | studies/s | p50 ms | p95 ms | p99 ms | CPU ms a study |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for title, found in _by_target(rounds).items():
        for told in found[0].get("loads", ()):
            level = told["concurrency"]
            times = (
                f"{median(_values(rounds, title, level, f'p{p}_ms')):.0f}" for p in (50, 95, 99)
            )
            rate = spread(_values(rounds, title, level, "per_s"), 1)
            cost = median(_values(rounds, title, level, "cpu_ms"))
            lines.append(f"| {title} | {level} | {rate} | {' | '.join(times)} | {cost:.1f} |")
    return "\n".join(lines)


def _steady(rounds: Rounds) -> str:
    lines = ["| target | offered, studies/s | p50 ms | p95 ms | p99 ms | p99 of p50 |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for title, found in _by_target(rounds).items():
        steady = [result["steady"] for result in found if "steady" in result]
        if steady:
            rate = median(told["rate"] for told in steady)
            times = (f"{median(told[f'p{p}_ms'] for told in steady):.0f}" for p in (50, 95, 99))
            tail = spread([told["p99_ms"] / told["p50_ms"] for told in steady], 2)
            lines.append(f"| {title} | {rate:.1f} | {' | '.join(times)} | {tail} |")
    return "\n".join(lines)


def _processes(rounds: Rounds) -> str:
    """Memory: of a RadStream target the first process is the gateway, of others whatever it is."""
    lines = ["| target | peak MiB, gateway | all processes | start to first answer, s |"]
    lines.append("|---|---:|---:|---:|")
    for title, found in _by_target(rounds).items():
        if "start_s" in found[0]:
            own = spread([result["own_peak_mib"] for result in found], 0)
            peak = spread([result["peak_mib"] for result in found], 0)
            start = spread([result["start_s"] for result in found], 1)
            gateway = own if title.startswith("radstream") else ""
            lines.append(f"| {title} | {gateway} | {peak} | {start} |")
    return "\n".join(lines)


def _by_target(rounds: Rounds) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for measured in rounds:
        for result in measured:
            found[result["target"]].append(result)
    return found


def _plotted(result: dict[str, Any]) -> int:
    levels = [told["concurrency"] for told in result["loads"]]
    return _PLOTTED if _PLOTTED in levels else max(levels)


def _values(rounds: Rounds, title: str, level: int, name: str) -> list[float]:
    """A figure of one target at one level, of each round."""
    return [
        told[name]
        for result in _by_target(rounds)[title]
        for told in result["loads"]
        if told["concurrency"] == level
    ]


def _floor(measured: Round, title: str) -> float:
    """CPU ms of the floor with the same decoding, in the same round."""
    cost: float = _result(measured, "floor" + (_SCALED if title.endswith(_SCALED) else ""))[
        "cpu_ms"
    ]
    return cost
