"""A gateway of one process and one of several before the same Triton.

    python -m bench.serving.workers [--workers 2] [--studies 240] [--rounds 3]

Both are up all the time, and are asked by turns: 16 studies at once, with a JPEG of the model's own
224x224 pixels, next to free to decode, and with the 1.4 MB one.
"""

import argparse
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
    "event loops": ("loop_ms", 1),
    "other threads": ("threads_ms", 1),
    "Triton": ("triton_ms", 1),
    "MiB": ("peak_mib", 0),
}
# By round, picture and number of processes.
Rounds = list[dict[str, dict[int, dict[str, float]]]]


def ask(gateway: Server, triton: Server, image: Path, studies: int) -> dict[str, float]:
    """Send studies, and return rate, CPU time and memory."""
    before = _cpu_ms(gateway, triton)
    load = (f"--studies={studies}", f"--concurrency={_AT_ONCE}")
    told = generated("bench.serving.load", gateway.url, "/v1/studies", "raw", str(image), *load)
    assert told["statuses"].keys() == {"200"}, told
    done = len(told["seconds"])
    after = _cpu_ms(gateway, triton)
    spent = {name: (after[name] - before[name]) / done for name in before}
    spent["cpu_ms"] = sum(spent.values())
    cores = spent["cpu_ms"] * done / told["wall_s"] / 1000
    figures = {"per_s": done / told["wall_s"], "cores": cores, "peak_mib": gateway.peak_mib()}
    return spent | figures


def _cpu_ms(gateway: Server, triton: Server) -> dict[str, float]:
    loops, all_threads = gateway.own_cpu_s()
    return {
        "loop_ms": loops * 1000,
        "threads_ms": (all_threads - loops) * 1000,
        "triton_ms": triton.cpu_s() * 1000,
    }


def markdown(rounds: Rounds) -> str:
    """Medians over the rounds, with the least and the greatest."""
    head = f"| picture | processes | {' | '.join(_FIGURES)} |"
    lines = [head, "|---|" + "---:|" * (len(_FIGURES) + 1)]
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
    parser.add_argument("--workers", type=int, default=2)
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
        gateways = {
            count: stack.enter_context(
                running_gateway(
                    triton.url,
                    _MODEL,
                    Path(folder) / str(count),
                    RADSTREAM_HTTP__WORKERS=str(count),
                )
            )
            for count in (1, given.workers)
        }
        for gateway in gateways.values():
            for image in images.values():
                ask(gateway, triton, image, _WARM_UP)

        def measured() -> dict[str, dict[int, dict[str, float]]]:
            return {
                name: {
                    count: ask(gateway, triton, image, given.studies)
                    for count, gateway in gateways.items()
                }
                for name, image in images.items()
            }

        keep_rounds("workers", given.rounds, measured, markdown)


if __name__ == "__main__":
    main()
