"""Random changes to a training picture, so that how a file was stored teaches nothing.

In the published set normal and pneumonia pictures were stored differently (compression, size,
aspect). Geometry is therefore stretched in both directions independently, tone is bent, burned-in
letters at the edge are covered, and sharpness, noise and compression are drawn anew each time.
"""

import cv2
import numpy as np
from numpy.random import Generator

from training.cxr_pneumonia.dataset import SIDE, Picture, blurred, jpeg, resized, scaled, sharpened


def augment(picture: Picture, rng: Generator, zoom: float) -> Picture:
    """Another view of the same radiograph, 224x224 uint8, magnified up to `zoom` times.

    `picture` is not changed.
    """
    changed = _warped(picture, rng, zoom)
    changed = scaled(changed, float(rng.uniform(0.7, 1.2)), float(np.exp(rng.uniform(-0.5, 0.5))))
    if rng.random() < 0.5:
        changed = _covered(changed, rng)
    return _restored_otherwise(changed, rng)


def _warped(picture: Picture, rng: Generator, zoom: float) -> Picture:
    """Flipped, turned, stretched in each direction on its own, and shifted."""
    angle = np.deg2rad(rng.uniform(-10, 10))
    stretch = rng.uniform(0.85, zoom, size=2)
    stretch[0] *= rng.choice((-1.0, 1.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * stretch
    centre = np.full(2, (SIDE - 1) / 2)
    shift = rng.uniform(-0.07, 0.07, size=2) * SIDE
    matrix = np.column_stack((linear, centre + shift - linear @ centre))
    warped = cv2.warpAffine(
        picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(warped, dtype=np.uint8)


def _covered(picture: Picture, rng: Generator) -> Picture:
    """With a rectangle of even grey somewhere, as over a burned-in letter or a clip."""
    height, width = rng.integers(16, 72, size=2)
    top, left = rng.integers(0, SIDE - height), rng.integers(0, SIDE - width)
    covered = picture.copy()
    covered[top : top + height, left : left + width] = rng.integers(0, 256)
    return covered


def _restored_otherwise(picture: Picture, rng: Generator) -> Picture:
    """Stored another way: other sharpness, noise, sampling and compression."""
    kind = rng.random()
    if kind < 0.3:
        picture = blurred(picture, float(rng.uniform(0.4, 1.8)))
    elif kind < 0.6:
        side = int(rng.integers(88, SIDE))
        picture = resized(picture, side, int(rng.choice((cv2.INTER_AREA, cv2.INTER_LINEAR))))
    elif kind < 0.85:
        picture = sharpened(picture, float(rng.uniform(0.3, 2.0)))
    if rng.random() < 0.4:
        noise = np.empty(picture.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, np.zeros(1), rng.uniform(1, 9, size=1))
        picture = np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), dtype=np.uint8)
    if rng.random() < 0.7:
        picture = jpeg(picture, int(rng.integers(15, 96)))
    return picture
