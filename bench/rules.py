"""Synthetic headers through two routing documents, as `radstream rules diff` compares them.

    python -m bench.rules

Headers are of many kinds: modalities, body parts, ages, stations, secondary captures, phantoms,
RadStream's own results, and the texts of the attack corpus as values. What the command says of each
is held to a few lines that know nothing of rules; it ends with 1 where one is another.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from click.testing import CliRunner

from gateway.cli.main import main as radstream
from tests.preprocess import dicoms
from tests.support.attacks import TEXTS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PERCENT = 10
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CHEST = {
    "name": "adult-chest",
    "when": {
        "all": [
            {"field": "metadata.body_part", "equals": "CHEST"},
            {"field": "dicom.Modality", "in": ["CR", "DX"]},
            {"not": {"field": "dicom.PatientAge", "younger_than": "18Y"}},
        ]
    },
}
_MODEL = {"name": "cxr_pneumonia", "version": "1"}
_STAT = {"name": "emergency", "when": {"field": "dicom.StationName", "glob": "ER-*"}}


def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the old document, and the new one: a canary, and a lane for emergencies."""
    old: dict[str, Any] = {"schema": "radstream.routing/1", "otherwise": {}}
    canary = {"version": "2", "percent": _PERCENT}
    new = old | {"rules": [_CHEST | {"models": [_MODEL | {"canary": canary}]}]}
    new["rules"].append(_STAT | {"lane": "stat"})
    return old | {"rules": [_CHEST | {"models": [_MODEL]}]}, new


def header(rng: random.Random, number: int) -> Dataset:
    """Return an image of a few pixels with such a header."""
    image = dicoms.image(np.arange(48, dtype=np.uint8).reshape(6, 8))
    image.SOPInstanceUID = f"1.2.826.0.1.3680043.10.999.3.{number}"
    image.StudyInstanceUID = f"1.2.826.0.1.3680043.10.999.1.{number}"
    image.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.999.2.{number}"
    image.Modality = rng.choice(["CR", "DX", "CT", "MG"])
    image.BodyPartExamined = rng.choice(["CHEST", "CHEST", "HAND", "ABDOMEN", "PHANTOM"])
    image.ViewPosition = rng.choice(["AP", "PA", "LL"])
    image.PatientAge = rng.choice(["012Y", "017Y", "018Y", "045Y", "082Y", "006M"])
    image.StationName = rng.choice(["ER-1", "ER-2", "WARD-3", "CT-1"])
    if rng.random() < 0.05:
        image.SOPClassUID = _SECONDARY_CAPTURE
    if rng.random() < 0.05:
        image.Manufacturer = image.ManufacturerModelName = "RadStream"
    if rng.random() < 0.2:
        attack = rng.choice(
            [text for text in TEXTS.values() if text.isascii() and text.isprintable()]
        )
        image.SeriesDescription = attack[:64].replace("\\", "/")
    return image


def differs(image: Dataset) -> bool:
    """Return True if the new document does something else with an image than the old one."""
    is_ours = image.get("Manufacturer") == "RadStream"
    is_capture = image.SOPClassUID == _SECONDARY_CAPTURE
    if is_ours or is_capture or image.BodyPartExamined == "PHANTOM":
        return False
    if image.StationName.startswith("ER-"):
        return True
    is_adult = image.PatientAge not in {"012Y", "017Y", "006M"}
    digest = hashlib.sha256(f"{_MODEL['name']}/{image.StudyInstanceUID}".encode()).digest()
    is_in_share = int.from_bytes(digest[:8], "big") * 100 < _PERCENT * 2**64
    is_chest = image.BodyPartExamined == "CHEST" and image.Modality in {"CR", "DX"}
    return is_chest and is_adult and is_in_share


def replayed(count: int, folder: Path) -> tuple[set[str], set[str], str, float]:
    """Return the files that are to differ, those that do, the last line, and seconds."""
    rng = random.Random(18)  # noqa: S311 - of headers, which are to be the same each time
    expected = set[str]()
    images = folder / "images"
    images.mkdir()
    for number in range(count):
        image = header(rng, number)
        path = images / f"{number}.dcm"
        path.write_bytes(dicoms.write(image))
        if differs(image):
            expected.add(str(path))
    names = []
    for name, document in zip(("old", "new"), documents(), strict=True):
        (folder / f"{name}.json").write_text(json.dumps(document))
        names.append(str(folder / f"{name}.json"))
    began = time.perf_counter()
    ended = CliRunner().invoke(radstream, ["rules", "diff", *names, "--against", str(images)])
    took_s = time.perf_counter() - began
    *lines, last = ended.stdout.splitlines()
    found = {line.split("  ")[1].partition(": ")[0] for line in lines}
    print(ended.stderr, end="")
    return expected, found, last, took_s


def main() -> None:
    """Replay and print; end with 1 where an image is routed otherwise than is expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headers", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        expected, found, last, took_s = replayed(options.headers, Path(folder))
    print(last)
    wrong = expected ^ found
    print(f"{len(wrong)} otherwise than expected, {took_s:.1f} s")
    raise SystemExit(1 if wrong or not found else 0)


if __name__ == "__main__":
    main()
