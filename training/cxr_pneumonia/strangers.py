"""Pictures that are no upright chest radiograph: what a model must not call pneumonia.

Radiographs turned by a right angle or more, upside down or inverted; photographs and pictures of
other parts and modalities, from folders; and made ones: noise, gradients, shapes, pages of text.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from preprocess import Limits, PreprocessError, decode
from training.cxr_pneumonia.dataset import SIDE, Picture, blurred

TURNS = ("turned by 90", "turned by 270", "turned by 180", "upside down", "inverted")
_SUFFIXES = {".dcm", ".jpg", ".jpeg", ".png", ""}
_LEAST_SIDE = 64
_LEAST_CONTRAST = 4  # grey levels of deviation; what is flatter is turned away before a model


def turned(picture: Picture, kind: str) -> Picture:
    """Return the picture, (rows, columns) uint8, changed in the way `kind` of `TURNS`."""
    if kind == "inverted":
        return 255 - picture
    if kind == "upside down":
        return picture[::-1].copy()
    return np.rot90(picture, int(kind.removeprefix("turned by ")) // 90).copy()


def foreign(folders: Sequence[Path]) -> NDArray[np.uint8]:
    """Return the first picture of every file in the folders, (n, 224, 224), in order of names."""
    found = {}
    for path in sorted(each for folder in folders for each in folder.rglob("*")):
        if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
            continue
        try:
            samples = decode(path.read_bytes(), Limits())[0].samples
        except (PreprocessError, ValueError):
            continue
        picture = _grey(samples)
        if min(samples.shape[:2]) >= _LEAST_SIDE and picture.std() >= _LEAST_CONTRAST:
            found[picture.tobytes()] = picture
    return np.stack(list(found.values()))


def _grey(samples: NDArray[np.generic]) -> Picture:
    """Return samples (rows, columns, 1 or 3) as a picture, black and white at their extremes."""
    values = samples.astype(np.float32).reshape(*samples.shape[:2], -1).mean(2)
    values = (values - values.min()) / max(float(np.ptp(values)), 1) * 255
    size = (SIDE, SIDE)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def made(rng: Generator) -> Picture:
    """Return noise of some coarseness, a gradient, shapes, or a page of text, 224x224 uint8."""
    kind = int(rng.integers(4))
    if kind == 0:
        cells = int(rng.integers(2, SIDE))
        small = rng.integers(0, 256, (cells, cells), np.uint8)
        return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    if kind == 1:
        places = np.mgrid[:SIDE, :SIDE] / SIDE - rng.uniform(-0.5, 1.5, (2, 1, 1))
        slope = rng.normal(size=(2, 1, 1))
        field = (slope * places).sum(0) if rng.random() < 0.5 else np.hypot(*(slope * places))
        return np.clip((field - field.min()) / np.ptp(field) * 255, 0, 255).astype(np.uint8)
    picture = np.full((SIDE, SIDE), rng.integers(0, 256), np.uint8)
    if kind == 2:
        for _ in range(int(rng.integers(1, 30))):
            first, second = (tuple(map(int, rng.integers(0, SIDE, 2))) for _ in range(2))
            grey = int(rng.integers(256))
            if rng.random() < 0.5:
                cv2.rectangle(picture, first, second, grey, int(rng.choice((-1, 1, 3))))
            else:
                axes = tuple(map(int, rng.integers(2, SIDE // 2, 2)))
                cv2.ellipse(picture, first, axes, float(rng.uniform(0, 180)), 0, 360, grey, -1)
        return blurred(picture, float(rng.uniform(0.1, 6)))
    ink = (int(picture[0, 0]) + int(rng.integers(80, 176))) % 256
    letters = "abcdefghijklmnopqrstuvwxyz      ABCDEFGHIJ0123456789.,:-"
    height = float(rng.uniform(0.25, 1.0))
    for row in range(0, SIDE, int(20 * height) + int(rng.integers(4, 14))):
        line = "".join(rng.choice(list(letters), int(rng.integers(4, 48))))
        cv2.putText(picture, line, (4, row), cv2.FONT_HERSHEY_SIMPLEX, height, ink, 1)
    return picture


def stranger(
    radiographs: NDArray[np.uint8], others: NDArray[np.uint8], rng: Generator
) -> tuple[Picture, bool]:
    """Return a stranger, and whether it is a radiograph that was turned or inverted.

    Three in five are `radiographs`, one in five one of `others`, one in five made.
    """
    place = rng.random()
    if place < 0.6:
        picture = radiographs[rng.integers(len(radiographs))]
        return turned(picture, str(rng.choice(TURNS))), True
    return (others[rng.integers(len(others))] if place < 0.8 else made(rng)), False
