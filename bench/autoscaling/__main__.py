"""Does autoscaling help? Simulates it, counts what it costs, and draws both.

    python -m bench.autoscaling

Prints the tables of docs/autoscaling.md and writes its pictures to docs/images/. Service times come
from measured.json (`python -m bench.autoscaling.measure`), the autoscaler's rules from the chart's
values, prices from prices.toml.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import yaml
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.autoscaling import cost
from bench.autoscaling.cluster import Cluster, Run, ServiceTimes, Setup, Targets, arrivals
from bench.autoscaling.hpa import Policy, Rules, Scaling

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/images"
MEASURED = Path(__file__).with_name("measured.json")
CHART = ROOT / "helm/radstream/values.yaml"
SEEDS = (1, 2, 3, 4, 5)
CORES = 2  # of a gateway, as the chart requests

# Seconds and studies a minute: the prototype's burst, with its way down.
BURST = ((600, 1), (600, 50), (900, 100), (600, 50), (900, 1))
HOUR = tuple((float(seconds), float(rate)) for seconds, rate in BURST)
# The same burst in a shift of eight hours that is quiet otherwise.
SHIFT = (*HOUR, (7 * 3600.0, 1.0))
# From the decision to the first study: containers scheduled and started (measured), readiness seen,
# the load balancer's health check passed; on a new node also its boot and the images' way there.
NODE_THERE_S, NODE_NEW_S = 45.0, 150.0
DRAWN = (200.0, 400.0)


@dataclasses.dataclass(frozen=True)
class Pair:
    """The autoscaled run of one seed, and that of as many fixed pods as cost the same."""

    scaled: Run
    mean: float
    fixed: int
    still: Run

    @property
    def change(self) -> float:
        """Of the 95th percentile by the autoscaler, as a share of that without."""
        return self.scaled.percentile_s(95) / self.still.percentile_s(95) - 1


def rules_of(values: dict[str, Any]) -> tuple[Scaling, Targets]:
    """Return the scaling rules and the targets of the chart's `autoscaling`."""
    up, down, targets = values["scaleUp"], values["scaleDown"], values["targets"]
    sides = [
        Rules(
            side["stabilizationSeconds"],
            (
                Policy("Percent", side["percent"], side["periodSeconds"]),
                Policy("Pods", side["pods"], side["periodSeconds"]),
            ),
        )
        for side in (up, down)
    ]
    return (
        Scaling(values["minReplicas"], values["maxReplicas"], *sides),
        Targets(targets["queueSeconds"], targets["studiesInFlight"], targets["cpuPercent"]),
    )


def service_times() -> ServiceTimes:
    """Return the measured seconds of the gateway and of inference by batch size."""
    measured = json.loads(MEASURED.read_text())
    batches = {int(size): seconds for size, seconds in measured["batch_s"].items()}
    return ServiceTimes(list(measured["gateway_s"].values()), batches)


def simulate(
    phases: Sequence[tuple[float, float]],
    factor: float,
    times: ServiceTimes,
    setup: Setup,
    seed: int,
) -> Run:
    """One run of the phases, so many times as strong."""
    stronger = [(seconds, rate * factor) for seconds, rate in phases]
    end_s = sum(seconds for seconds, _ in phases)
    return Cluster(setup, times, seed).simulate(arrivals(stronger, seed), end_s)


class Comparison:
    """Runs with the chart's autoscaler and without, for each seed.

    Parameters
    ----------
    times
        As measured.
    """

    def __init__(self, times: ServiceTimes) -> None:
        self._times = times
        self._scaling, self._targets = rules_of(yaml.safe_load(CHART.read_text())["autoscaling"])

    def pair(
        self, phases: Sequence[tuple[float, float]], factor: float, start_s: float, seed: int
    ) -> Pair:
        """Both runs of one seed; the fixed pods are rounded up, so they cost a little more."""
        setup = Setup(self._scaling.min_replicas, self._scaling, self._targets, CORES, start_s)
        scaled = simulate(phases, factor, self._times, setup, seed)
        mean = scaled.pod_s / sum(seconds for seconds, _ in phases)
        fixed = math.ceil(round(mean, 3))
        still = Setup(fixed, None, self._targets, CORES, start_s)
        return Pair(scaled, mean, fixed, simulate(phases, factor, self._times, still, seed))


def compare(times: ServiceTimes) -> dict[float, Run]:
    """The table of with and without, medians over the seeds; an hour to draw, by its factor."""
    columns = (
        *("studies", "pod ready in", "replicas: mean (most)", "p50", "p95", "p99", "failed"),
        *("fixed, at that cost", "p95", "failed", "p95 with it", "best and worst seed"),
    )
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    comparison = Comparison(times)
    drawn = {}
    for title, phases, factor, start_s in (
        ("x1, the hour", HOUR, 1, NODE_THERE_S),
        ("x10, the hour", HOUR, 10, NODE_THERE_S),
        ("x100, the hour", HOUR, 100, NODE_THERE_S),
        ("x200, the hour", HOUR, 200, NODE_THERE_S),
        ("x200, the hour", HOUR, 200, NODE_NEW_S),
        ("x400, the hour", HOUR, 400, NODE_THERE_S),
        ("x200, the shift", SHIFT, 200, NODE_NEW_S),
    ):
        pairs = [comparison.pair(phases, factor, start_s, seed) for seed in SEEDS]
        changes = sorted(pair.change for pair in pairs)
        scaled = [pair.scaled for pair in pairs]
        most = median(max(n for _, n in run.replicas) for run in scaled)
        print(
            f"| {title} | {start_s:.0f} s | {median(pair.mean for pair in pairs):.2f} ({most}) "
            f"| {_columns(scaled, 50, 95, 99)} | {median(pair.fixed for pair in pairs)} "
            f"| {_columns([pair.still for pair in pairs], 95)} "
            f"| {median(changes):+.0%} | {changes[0]:+.0%}, {changes[-1]:+.0%} |",
            flush=True,
        )
        if phases is HOUR and factor in DRAWN and start_s == NODE_THERE_S:
            drawn[factor] = scaled[0]
    return drawn


def _columns(runs: Sequence[Run], *percents: float) -> str:
    cells = [_told(median(run.percentile_s(each) for run in runs)) for each in percents]
    failed = median(run.failed / len(run.latencies_s) for run in runs)
    return " | ".join([*cells, f"{failed:.1%}"])


def _told(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def draw_replicas(runs: dict[float, Run], path: Path) -> None:
    """Replicas over the hour, with what came in."""
    figure, axes = plt.subplots(
        len(runs), 1, figsize=(7, 2.2 * len(runs)), sharex=True, layout="constrained"
    )
    for axis, (factor, run) in zip(axes, runs.items(), strict=True):
        times, numbers = zip(*run.replicas, strict=True)
        axis.step([t / 60 for t in times], numbers, where="post", color="tab:blue")
        axis.set_ylabel("replicas", color="tab:blue")
        axis.set_ylim(bottom=0)
        load = axis.twinx()
        edges = [0.0, *_sums(seconds / 60 for seconds, _ in HOUR)]
        load.stairs([rate * factor for _, rate in HOUR], edges, color="tab:gray", alpha=0.6)
        load.set_ylabel("studies a minute", color="tab:gray")
        load.set_ylim(bottom=0)
        axis.set_title(f"x{factor:.0f}, the hour", fontsize=9, loc="left")
    axes[-1].set_xlabel("minutes")
    _save(figure, path)


def _sums(values: Iterable[float]) -> list[float]:
    return list(itertools.accumulate(values))


def tell_cost(times: ServiceTimes) -> float:
    """The tables of cost; US dollars of a thousand studies more, by the dearer way in."""
    cpu_s = sum(times.gateway_s) / len(times.gateway_s) + times.batch_s[1]
    prices = cost.read_prices()
    parts = {
        way: cost.marginal(prices, study, utilisation=0.5)
        for way, study in cost.ways_in(cpu_s).items()
    }
    print(f"\n| a thousand studies more pay for | {' | '.join(parts)} |\n|---|---|---|")
    for name in parts["sent"]:
        print(f"| {name} | {' | '.join(f'{of[name]:.4f}' for of in parts.values())} |")
    print(f"| together | {' | '.join(f'{sum(of.values()):.3f}' for of in parts.values())} |")
    total = sum(parts["dropped"].values())
    volumes = (10_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000)
    print("\n| plan | a month | " + " | ".join(f"{v:,}" for v in volumes) + " | under $2 from |")
    print("|---|---|" + "---|" * (len(volumes) + 1))
    for plan in cost.PLANS:
        monthly = cost.fixed(prices, plan)
        cells = [f"{cost.all_in(monthly, total, v):.2f}" for v in volumes]
        begin = cost.studies_for(monthly, total, 2.0)
        print(f"| {plan.name} | {monthly:.0f} | {' | '.join(cells)} | {begin:,.0f} |")
    return total


def draw_cost(marginal_thousand: float, path: Path) -> None:
    """US dollars per thousand studies over monthly volume, both logarithmic."""
    prices = cost.read_prices()
    volumes = [10 ** (4 + step / 20) for step in range(56)]
    figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for plan in cost.PLANS:
        monthly = cost.fixed(prices, plan)
        usd = [cost.all_in(monthly, marginal_thousand, volume) for volume in volumes]
        axis.loglog(volumes, usd, label=plan.name.replace("`", ""))
    axis.axhline(marginal_thousand, color="tab:gray", ls=":", label="a thousand more")
    axis.axhline(2, color="black", lw=0.7, ls="--", label="goal: $2")
    axis.set_xlabel("studies a month")
    axis.set_ylabel("US$ per 1,000 studies")
    axis.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    plt.close(figure)


def main() -> None:
    """Print the tables, write the pictures."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "radstream", "font.size": 9}
    times = service_times()
    draw_replicas(compare(times), PICTURES / "autoscaling-replicas.svg")
    draw_cost(tell_cost(times), PICTURES / "autoscaling-cost.svg")


if __name__ == "__main__":
    main()
