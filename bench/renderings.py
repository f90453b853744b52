"""Renderings of made-up studies, held to dciodvfy, dsrdump and highdicom.

    python -m bench.renderings [--studies 200] [--pixelmed]

Prints each fault that one of them finds, with the smallest study that has it, and ends with 1 where
there is one.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.support.rendered_studies import RenderedStudy, faults, studies


def checked(count: int, folder: Path, *, slowly: bool) -> Counter[str]:
    """Return how many studies, images, readings and findings were held to them."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(studies())
    def check(study: RenderedStudy) -> None:
        found = faults(study, folder, slowly=slowly)
        assert found == [], found
        seen["studies"] += 1
        seen["images"] += len(study.originals)
        seen["readings"] += len(study.readings)
        seen["findings"] += sum(
            len(frame.findings) for reading in study.readings for frame in reading.frames
        )

    check()
    return seen


def main() -> None:
    """Hold so many studies to them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument(
        "--pixelmed", action="store_true", help="ask PixelMed's validator too: 12 s a study"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = checked(arguments.studies, Path(folder), slowly=arguments.pixelmed)
    sys.stdout.write(", ".join(f"{number} {what}" for what, number in seen.items()))
    sys.stdout.write(": no fault\n")


if __name__ == "__main__":
    main()
