"""Demand of a number of studies on each part, as arithmetic over measured figures and limits.

    python -m bench.scaling [--cpu-ms 55] [--megabytes 1.4]

Prints the tables of docs/scaling.md. The CPU time is what bench/serving measured for the whole
process tree (gateway and a Triton on CPUs); the counts of calls and bytes are counted in the code
and in telemetry files, see there.
"""

import argparse
from dataclasses import dataclass

PEAK = 3.0  # busiest hour over the mean of the day
USE = 0.6  # of a pod's cores, where the autoscaler adds another
POD_CORES = 3.0

EVENTS, EVENT_BYTES = 7, 500
PUTS, GETS, LISTS = 2, 1, 0

# Limits of AWS, with their pages in docs/scaling.md.
SHARD_RECORDS, SHARD_BYTES = 1000, 2**20
PREFIX_PUTS, PREFIX_READS = 3500, 5500
LCU_BYTES_HOUR = 1e9

DAYS = {
    "one hospital, 60 an hour": 60 * 24,
    "ten hospitals": 10 * 60 * 24,
    "100,000 a day": 100_000,
    "1 million a day": 1_000_000,
    "10 million a day": 10_000_000,
}


@dataclass(frozen=True)
class Study:
    """Resources that one study takes."""

    cpu_s: float
    bytes: float

    def limits(self) -> dict[str, float]:
        """Studies a second at which each part has no more to give as it is."""
        return {
            "a core": 1 / self.cpu_s,
            "a pod": POD_CORES / self.cpu_s,
            "a Kinesis shard": min(SHARD_RECORDS / EVENTS, SHARD_BYTES / EVENTS / EVENT_BYTES),
            "writes under one S3 prefix": PREFIX_PUTS / PUTS,
            "reads and lists under one S3 prefix": PREFIX_READS / (GETS + LISTS),
        }

    def needs(self, a_day: float) -> dict[str, float]:
        """Return the demand of the busiest hour of a day with so many studies."""
        peak = a_day / 86400 * PEAK
        return {
            "studies/s": peak,
            "cores": peak * self.cpu_s / USE,
            "pods": max(2.0, -(-peak * self.cpu_s / USE // POD_CORES)),
            "shards": -(-peak // self.limits()["a Kinesis shard"]),
            "S3 writes/s": peak * PUTS,
            "S3 reads/s": peak * (GETS + LISTS),
            "Mbit/s in": peak * self.bytes * 8 / 1e6,
            "LCU": max(peak * self.bytes * 3600 / LCU_BYTES_HOUR, 0.0),
            "GB a day": a_day * self.bytes / 1e9,
        }


def main() -> None:
    """Print both tables in Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu-ms", type=float, default=55.0)
    parser.add_argument("--megabytes", type=float, default=1.4)
    arguments = parser.parse_args()
    study = Study(arguments.cpu_ms / 1000, arguments.megabytes * 1e6)
    print("| part | studies a second |\n|---|---:|")
    for part, rate in sorted(study.limits().items(), key=lambda item: item[1]):
        print(f"| {part} | {rate:,.0f} |")
    names = list(study.needs(1))
    print("\n| volume | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for title, a_day in DAYS.items():
        values = (
            f"{value:,.2f}" if value < 1 else f"{value:,.0f}"
            for value in study.needs(a_day).values()
        )
        print(f"| {title} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
