"""One gateway and several before the same Triton: the share of a machine that one process uses.

    python -m bench.serving.side_by_side [--gateways 2] [--studies 240] [--rounds 3]

Each is a `radstream serve` of its own, and all write to one store. As many studies are under way in
all together as in one alone, once with a JPEG of the model's own 224x224 pixels, next to free to
decode, and once with the 1.4 MB one.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.results import PLACE, keep_rounds, spread
from bench.serving.processes import Server, generated, running_triton
from bench.serving.targets import prepare_models, repository, running_gateway
from bench.serving.triton_alone import pictures

_MODEL = "cxr_pneumonia"
_AT_ONCE = 16
_WARM_UP = 32
_FIGURES = {
    "studies/s": ("per_s", 1),
    "cores in use": ("cores", 2),
    "CPU ms a study": ("cpu_ms", 1),
    "event loop": ("loop_ms", 1),
    "gateway's other threads": ("threads_ms", 1),
    "Triton": ("triton_ms", 1),
}
# By round, picture and number of gateways.
Rounds = list[dict[str, dict[int, dict[str, float]]]]


def ask(gateways: Sequence[Server], triton: Server, image: Path, studies: int) -> dict[str, float]:
    """Send studies to all gateways, the same number to each; return rate and CPU time."""
    share = len(gateways)
    load = (f"--studies={studies // share}", f"--concurrency={_AT_ONCE // share}")
    before = _cpu_ms(gateways, triton)
    with ThreadPoolExecutor(share) as senders:
        told = list(
            senders.map(
                lambda url: generated(
                    *("bench.serving.load", url, "/v1/studies", "raw", str(image), *load)
                ),
                [gateway.url for gateway in gateways],
            )
        )
    assert all(each["statuses"].keys() == {"200"} for each in told), told
    done = sum(len(each["seconds"]) for each in told)
    after = _cpu_ms(gateways, triton)
    spent = {name: (after[name] - before[name]) / done for name in before}
    spent["cpu_ms"] = sum(spent.values())
    wall_s = max(each["wall_s"] for each in told)
    return spent | {"per_s": done / wall_s, "cores": spent["cpu_ms"] * done / wall_s / 1000}


def _cpu_ms(gateways: Sequence[Server], triton: Server) -> dict[str, float]:
    loops, processes = zip(*(gateway.own_cpu_s() for gateway in gateways), strict=True)
    return {
        "loop_ms": sum(loops) * 1000,
        "threads_ms": (sum(processes) - sum(loops)) * 1000,
        "triton_ms": triton.cpu_s() * 1000,
    }


def markdown(rounds: Rounds) -> str:
    """Medians over the rounds, with the least and the greatest."""
    lines = [f"| picture | gateways | {' | '.join(_FIGURES)} |", "|---|" + "---:|" * 7]
    for picture, by_count in rounds[0].items():
        for count in by_count:
            cells = [
                spread([measured[picture][count][name] for measured in rounds], digits)
                for name, digits in _FIGURES.values()
            ]
            lines.append(f"| {picture} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the rounds, print and keep what they gave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--studies", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    prepare_models()
    images = pictures()
    with (
        TemporaryDirectory(dir=PLACE) as folder,
        running_triton(repository(_MODEL)) as triton,
        ExitStack() as stack,
    ):
        shared = {"RADSTREAM_STORE__FOLDER": f"{folder}/store"}
        gateways = [
            stack.enter_context(
                running_gateway(triton.url, _MODEL, Path(folder) / str(number), **shared)
            )
            for number in range(given.gateways)
        ]
        for image in images.values():
            ask(gateways, triton, image, _WARM_UP)

        def measured() -> dict[str, dict[int, dict[str, float]]]:
            return {
                name: {
                    count: ask(gateways[:count], triton, image, given.studies)
                    for count in (1, given.gateways)
                }
                for name, image in images.items()
            }

        keep_rounds("side_by_side", given.rounds, measured, markdown)


if __name__ == "__main__":
    main()
