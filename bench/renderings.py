"""Renderings of made-up studies, held to dciodvfy, dsrdump and highdicom.

    python -m bench.renderings [--studies 200] [--samples] [--pixelmed]

`--samples` takes the DICOM files of `tests/data/images` in the place of made-up studies.
Prints each fault that one of them finds, with the smallest study that has it, and ends with 1 where
there is one.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.support.gateway import ROOT
from tests.support.rendered_studies import RenderedStudy, faults, sample_study, studies

SAMPLES = ROOT / "tests/data/images"


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


def checked_samples(folder: Path, *, slowly: bool) -> Counter[str]:
    """Return how many studies of samples were held to them, after printing each fault."""
    seen: Counter[str] = Counter()
    for sample in sorted(SAMPLES.glob("*.dcm")):
        found = faults(sample_study(sample), folder, slowly=slowly)
        for fault in found:
            sys.stdout.write(f"{sample.name}: {fault}\n")
        seen["samples"] += 1
        if found:
            seen["faults"] += len(found)
    return seen


def main() -> None:
    """Hold so many studies to them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument(
        "--pixelmed", action="store_true", help="ask PixelMed's validator too: 12 s a study"
    )
    parser.add_argument("--samples", action="store_true", help="take the samples of the tests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.samples:
            seen = checked_samples(Path(folder), slowly=arguments.pixelmed)
        else:
            seen = checked(arguments.studies, Path(folder), slowly=arguments.pixelmed)
    sys.stdout.write(", ".join(f"{number} {what}" for what, number in seen.items()))
    sys.stdout.write("\n" if seen["faults"] else ": no fault\n")
    sys.exit(bool(seen["faults"]))


if __name__ == "__main__":
    main()
