r"""The applicability score on pictures that had no part in making it.

    python -m training.cxr_pneumonia.foreign --data DATA --samples SAMPLES --model model.onnx \
        --list foreign.csv --json applicability.json FOLDER...

The foreign pictures, all that `preprocess` decodes in the folders, are listed by their hashes
before any is scored; a list that is there already is held to. Test pictures are scored as they are,
turned, mirrored and inverted, and the full-size files of e2e.
"""

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from preprocess import Aspect, InputSpec, Limits, PreprocessError, Resample, decode, to_tensor
from training.cxr_pneumonia.dataset import as_input, load_split
from training.cxr_pneumonia.inference import BATCH

THRESHOLD = 0.5
SPEC = InputSpec(
    rows=224, columns=224, channels=1, resample=Resample.BILINEAR, aspect=Aspect.STRETCH
)
_FRAMES = 2  # of one file: the others are much like them
_SUFFIXES = {".dcm", ".jpg", ".jpeg", ".png", ""}
_LEAST_SIDE = 64


def frames_of(path: Path) -> Iterator[NDArray[np.float32]]:
    """The pictures of a file as the network takes them, each (1, 224, 224)."""
    try:
        frames = decode(path.read_bytes(), Limits())
    except (PreprocessError, ValueError):
        return
    for frame in frames[:_FRAMES]:
        if min(frame.samples.shape[:2]) >= _LEAST_SIDE:
            yield to_tensor(frame, SPEC)


def scores(
    session: onnxruntime.InferenceSession, inputs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The scores (n,) of inputs (n, 1, 224, 224)."""
    found = [
        session.run(["applicability"], {"image": inputs[start : start + BATCH]})[0]
        for start in range(0, len(inputs), BATCH)
    ]
    return np.concatenate(found)[:, 0].astype(np.float64)


def listed(folders: Sequence[Path], table: Path) -> list[Path]:
    """The foreign files with a picture, once each; listed by their hashes."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if (
                path.is_file()
                and path.suffix.lower() in _SUFFIXES
                and any(True for _ in frames_of(path))
            ):
                found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    rows = [[digest, path.name] for digest, path in sorted(found.items())]
    if table.exists():
        with table.open(newline="") as file:
            if [row[:1] for row in csv.reader(file)][1:] != [row[:1] for row in rows]:
                raise SystemExit(f"{table} lists other files")
    else:
        with table.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["sha256", "file"], *rows])
    return list(found.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """List, score, and print what share of each kind has no verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--samples", "--model", "--list", "--json"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    foreign = listed(options.folders, options.list)
    session = onnxruntime.InferenceSession(str(options.model))
    test = as_input(load_split(options.data, "test").pictures)
    kinds = {
        "test": test,
        "test, brighter (gamma 0.7)": test**0.7,
        "test, darker (gamma 1.4)": test**1.4,
        "test, mirrored left to right": test[..., ::-1],
        "test, turned by 90 degrees": np.rot90(test, 1, (2, 3)),
        "test, turned by 270 degrees": np.rot90(test, 3, (2, 3)),
        "test, turned by 180 degrees": np.rot90(test, 2, (2, 3)),
        "test, upside down": test[..., ::-1, :],
        "test, inverted": 1 - test,
        "test, a tenth cut off on each side": cropped(test, 22),
        "test, a fifth cut off on each side": cropped(test, 45),
        "e2e, full size": np.stack(
            [f for p in sorted(options.samples.iterdir()) for f in frames_of(p)]
        ),
        "foreign": np.stack([frame for path in foreign for frame in frames_of(path)]),
    }
    report = {}
    for name, inputs in kinds.items():
        found = scores(session, np.ascontiguousarray(inputs, np.float32))
        below = int((found < THRESHOLD).sum())
        report[name] = {"pictures": len(found), "no verdict": below}
        print(f"{name:40} {below:5} of {len(found):5} {below / len(found):7.1%}")
    options.json.write_text(json.dumps(report, indent=2) + "\n")


def cropped(inputs: NDArray[np.float32], cut: int) -> NDArray[np.float32]:
    """Inputs (n, 1, 224, 224) without so many pixels on each side, at their size again."""
    side = inputs.shape[-1]
    return np.stack(
        [
            cv2.resize(picture[0, cut : side - cut, cut : side - cut], (side, side))[None]
            for picture in inputs
        ]
    )


if __name__ == "__main__":
    main()
