"""The pictures, their labels and the fixed ways in which they are spoilt for measuring."""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SIDE = 224


@dataclass(frozen=True)
class Split:
    """Pictures (n, 224, 224) uint8 and what is known of each, (n,).

    Labels are 1 for pneumonia and 0 for normal, kinds ``normal``, ``bacteria`` or ``virus``.
    """

    names: tuple[str, ...]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    kinds: NDArray[np.str_]
    patients: NDArray[np.str_]


def load_split(data: Path, split: str) -> Split:
    """The split called `split` of the data set in folder `data`."""
    with (data / "labels.csv").open(newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["split"] == split]
    with zipfile.ZipFile(data / "images.zip") as archive:
        pictures = [decode(archive.read(row["path"])) for row in rows]
    return Split(
        tuple(Path(row["path"]).name for row in rows),
        np.stack(pictures),
        np.array([row["label"] == "pneumonia" for row in rows], dtype=np.int64),
        np.array([row["kind"] for row in rows]),
        np.array([row["patient"] for row in rows]),
    )


def decode(body: bytes) -> Picture:
    """The greyscale picture in a JPEG or PNG file."""
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("not a picture that OpenCV can decode")
    return np.asarray(picture, dtype=np.uint8)


def as_input(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's input, (n, 1, 224, 224) float32 in [0, 1]."""
    return pictures[:, None].astype(np.float32) / np.float32(255)


def jpeg(picture: Picture, quality: int) -> Picture:
    """The picture after JPEG at `quality`, 1 to 100."""
    _, body = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return decode(body.tobytes())


def resized(picture: Picture, side: int, interpolation: int = cv2.INTER_AREA) -> Picture:
    """The picture shrunk to `side` x `side` and brought back to its own size, bilinearly."""
    small = cv2.resize(picture, (side, side), interpolation=interpolation)
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def blurred(picture: Picture, sigma: float) -> Picture:
    """The picture under a Gaussian of standard deviation `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def sharpened(picture: Picture, amount: float) -> Picture:
    """The picture with `amount` of its finest detail (sigma 1) added to itself."""
    fine = cv2.addWeighted(picture, 1 + amount, blurred(picture, 1.0), -amount, 0)
    return np.asarray(fine, dtype=np.uint8)


def noisy(picture: Picture, sigma: float, seed: int) -> Picture:
    """The picture with Gaussian noise of standard deviation `sigma` grey levels."""
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def scaled(picture: Picture, gain: float, gamma: float) -> Picture:
    """The picture with another exposure: grey to the power `gamma`, times `gain`."""
    levels = np.clip(gain * (np.arange(256) / 255) ** gamma, 0, 1) * 255
    return np.asarray(cv2.LUT(picture, levels.round().astype(np.uint8)), dtype=np.uint8)


def cropped(picture: Picture, margin: int) -> Picture:
    """The picture without `margin` pixels on each side, brought back to its size."""
    rows, columns = picture.shape
    inner = picture[margin:-margin, margin:-margin]
    resampled = cv2.resize(inner, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resampled, dtype=np.uint8)


# Every way in which pictures are spoilt to measure robustness.
SPOILINGS: dict[str, Callable[[Picture], Picture]] = {
    "untouched": lambda picture: picture,
    "JPEG quality 40": lambda picture: jpeg(picture, 40),
    "resized to 112 and back": lambda picture: resized(picture, 112),
    "sharpened by 1": lambda picture: sharpened(picture, 1.0),
    "JPEG quality 20": lambda picture: jpeg(picture, 20),
    "JPEG quality 50": lambda picture: jpeg(picture, 50),
    "JPEG quality 60": lambda picture: jpeg(picture, 60),
    "JPEG quality 70": lambda picture: jpeg(picture, 70),
    "JPEG quality 80": lambda picture: jpeg(picture, 80),
    "JPEG quality 90": lambda picture: jpeg(picture, 90),
    "JPEG quality 95": lambda picture: jpeg(picture, 95),
    "resized to 192 and back": lambda picture: resized(picture, 192),
    "resized to 160 and back": lambda picture: resized(picture, 160),
    "resized to 96 and back": lambda picture: resized(picture, 96),
    "blurred, sigma 1": lambda picture: blurred(picture, 1.0),
    "blurred, sigma 2": lambda picture: blurred(picture, 2.0),
    "noise, sigma 5": lambda picture: noisy(picture, 5.0, seed=0),
    "darker (gamma 1.4)": lambda picture: scaled(picture, 1.0, 1.4),
    "brighter (gamma 0.7)": lambda picture: scaled(picture, 1.0, 0.7),
    "half contrast": lambda picture: scaled(picture, 0.5, 1.0),
    "cropped by a tenth on each side": lambda picture: cropped(picture, 22),
    "blurred (sigma 2), then JPEG quality 50": lambda picture: jpeg(blurred(picture, 2.0), 50),
}
# By version of the model: the copies of val that calibrate its probabilities and set its threshold.
CALIBRATION_SPOILINGS = {
    1: tuple(SPOILINGS)[:4],
    2: (*tuple(SPOILINGS)[:4], "cropped by a tenth on each side"),
}


def spoil(pictures: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The pictures spoilt in the way `name` of `SPOILINGS`."""
    return np.stack([SPOILINGS[name](picture) for picture in pictures])
