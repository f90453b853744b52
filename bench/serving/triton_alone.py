"""RadStream against its own Triton alone, with a DenseNet-121.

    python -m bench.serving.triton_alone [--studies 64] [--rounds 5] [--concurrency 16]

One Triton serves all, and each round asks it in three ways one after the other:

- `radstream`: studies over HTTP (raw body), through the gateway;
- `tensors`: ready tensors from a client that does nothing else;
- `pictures`: tensors that this client makes from the same file before it sends them.

Once for a JPEG of the model's own 224x224 pixels, next to free to decode, and once for the 1.4 MB
one: where Triton runs on the same CPU, decoding that takes from both alike.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2

from bench.results import PLACE, keep_rounds, spread
from bench.serving.processes import Server, generated, running_triton
from bench.serving.targets import prepare_models, repository, running_gateway
from bench.serving.work import large_file

_MODEL = "densenet121"
_WARM_UP = ("--studies=24", "--concurrency=4")
# By round, picture and way.
Rounds = list[dict[str, dict[str, dict[str, float]]]]
_WAYS = ("radstream", "tensors", "pictures")


def pictures() -> dict[str, Path]:
    """The files by their names in the table."""
    large = large_file()
    small = large.with_name("small.jpg")
    grey = cv2.imread(str(large), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(small), cv2.resize(grey, (224, 224), interpolation=cv2.INTER_AREA))
    return {"224x224": small, "2048x2500": large}


def ask(way: str, gateway: Server, triton: Server, image: Path, *load: str) -> dict[str, float]:
    """Measure one way of asking, with the CPU time of Triton and of what is before it."""
    before = triton.cpu_s(), gateway.cpu_s()
    if way == "radstream":
        told = generated("bench.serving.load", gateway.url, "/v1/studies", "raw", str(image), *load)
    else:
        each = ["--each"] if way == "pictures" else []
        told = generated("bench.serving.tensors", triton.url, _MODEL, str(image), *load, *each)
    assert told["statuses"].keys() == {"200"}, told["statuses"]
    front_s = gateway.cpu_s() - before[1] if way == "radstream" else told["own_cpu_s"]
    seconds = sorted(told["seconds"])
    studies = len(seconds)
    return {
        "per_s": studies / told["wall_s"],
        "triton_ms": (triton.cpu_s() - before[0]) / studies * 1000,
        "front_ms": front_s / studies * 1000,
        "p50_ms": median(seconds) * 1000,
        "p99_ms": seconds[int(len(seconds) * 0.99)] * 1000,
    }


def markdown(rounds: Rounds) -> str:
    """Medians over the rounds; the ratios are of one round, with their range.

    The last column is what the rate would come to if the cores did nothing else and never rested.
    """
    titles = (
        "| picture | asked by | CPU ms, Triton | before it | p50 ms | p99 ms | studies/s "
        "| rate, of `tensors` | of `pictures` | by CPU, of `tensors` |"
    )
    lines = [titles, "|---|---|" + "---:|" * 8]
    for picture in rounds[0]:
        for way in _WAYS:
            cells = [
                f"{median(measured[picture][way][name] for measured in rounds):.1f}"
                for name in ("triton_ms", "front_ms", "p50_ms", "p99_ms", "per_s")
            ]
            cells += [
                "" if way == other else _ratio(rounds, picture, way, other, "per_s")
                for other in _WAYS[1:]
            ]
            cells.append("" if way == "tensors" else _ratio(rounds, picture, "tensors", way, "cpu"))
            lines.append(f"| {picture} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(rounds: Rounds, picture: str, way: str, other: str, name: str) -> str:
    """A figure of one way over that of another; `cpu` is of all processes."""

    def value(measured: dict[str, float]) -> float:
        return measured["triton_ms"] + measured["front_ms"] if name == "cpu" else measured[name]

    pairs = [(measured[picture][way], measured[picture][other]) for measured in rounds]
    return spread([value(one) / value(another) for one, another in pairs], 2)


def main() -> None:
    """Run the rounds, print and keep what they gave."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=16)
    given = parser.parse_args()
    load = (f"--studies={given.studies}", f"--concurrency={given.concurrency}")
    prepare_models()
    images = pictures()
    with (
        TemporaryDirectory(dir=PLACE) as folder,
        running_triton(repository(_MODEL)) as triton,
        running_gateway(triton.url, _MODEL, Path(folder)) as gateway,
    ):
        for image in images.values():
            for way in _WAYS:
                ask(way, gateway, triton, image, *_WARM_UP)

        def measured() -> dict[str, dict[str, dict[str, float]]]:
            return {
                name: {way: ask(way, gateway, triton, image, *load) for way in _WAYS}
                for name, image in images.items()
            }

        keep_rounds("triton_alone", given.rounds, measured, markdown)


if __name__ == "__main__":
    main()
