"""A rolling update under load: what senders see while both gateways are replaced, round by round.

    python bench/rolling.py --rounds 10 --drain-delay 1
    python bench/rolling.py --rounds 3 --drain-delay 0

Two gateways share a store and a Triton with the reference model, behind HAProxy (Debian's package)
that checks /readyz and tries nothing twice. Each is replaced as a pod is: SIGTERM, readiness off,
out of the load balancer, listener closed, work finished, process ended; a new one started, ready,
and in again. Radiographs come at a steady rate throughout. Without the drain delay the listener
closes before the load balancer knows, which shows that a lost request would be seen.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from gateway.observability import logs
from gateway.settings import LogSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import ROOT
from tests.support.rolling import DRAIN_DELAY_S, Gateways, Tally, balancing, load

RADIOGRAPHS = sorted((ROOT / "tests/data/images").glob("*.jpeg"))


async def rehearse(
    folder: Path, *, rounds: int, per_second: float, drain_delay_s: float
) -> Counter[str]:
    """Replace every gateway in each round; return how often each outcome came.

    Prints a line for every round.
    """
    pictures = [path.read_bytes() for path in RADIOGRAPHS]
    async with (
        EmbeddedTriton(ROOT / "model_repository", on_log=lambda _line: None) as triton,
        balancing(folder) as balancer,
    ):
        environment = {
            "RADSTREAM_STORE__FOLDER": str(folder / "store"),
            "RADSTREAM_TRITON__URL": triton.grpc_url,
        }
        gateways = Gateways(balancer, environment, drain_delay_s=drain_delay_s)
        places = range(len(balancer.ports))
        try:
            for place in places:
                await gateways.start(place)
            print("| round | seconds | studies | failed | p50 ms | p95 ms |")
            print("|---|---|---|---|---|---|")
            async with load(balancer.url, pictures, per_second=per_second) as tally:
                for number in range(1, rounds + 1):
                    began, before = time.monotonic(), sum(tally.outcomes.values())
                    answered = len(tally.seconds)
                    failed = _failed(tally)
                    for place in places:
                        await gateways.replace(place)
                    cuts = statistics.quantiles(tally.seconds[answered:], n=100)
                    print(
                        f"| {number} | {time.monotonic() - began:.1f} "
                        f"| {sum(tally.outcomes.values()) - before} | {_failed(tally) - failed} "
                        f"| {cuts[49] * 1e3:.0f} | {cuts[94] * 1e3:.0f} |",
                        flush=True,
                    )
        finally:
            await gateways.stop()
    return tally.outcomes


def _failed(tally: Tally) -> int:
    return sum(tally.outcomes.values()) - tally.outcomes["200"]


def main() -> None:
    """Read the arguments, rehearse, and fail if a request did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--per-second", type=float, default=6.0, help="studies sent a second")
    parser.add_argument("--drain-delay", type=float, default=DRAIN_DELAY_S, help="seconds")
    arguments = parser.parse_args()
    logs.configure(LogSettings(level="warning"))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = asyncio.run(
            rehearse(
                Path(folder),
                rounds=arguments.rounds,
                per_second=arguments.per_second,
                drain_delay_s=arguments.drain_delay,
            )
        )
    print(f"\n{dict(outcomes)}")
    sys.exit(outcomes["200"] != sum(outcomes.values()))


if __name__ == "__main__":
    main()
