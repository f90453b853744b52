"""The pictures that every target is sent."""

from pathlib import Path

import cv2
import numpy as np

from bench.results import PLACE


def large_file() -> Path:
    """The file of `large_jpeg`, made once."""
    path = PLACE / "large.jpg"
    if not path.exists():
        PLACE.mkdir(exist_ok=True)
        large_jpeg(path)
    return path


def large_jpeg(path: Path) -> None:
    """Write a grey JPEG of 2048x2500 and 1.4 MB: soft shapes under film grain, seeded."""
    rows, columns = 2500, 2048
    y, x = np.mgrid[0:rows, 0:columns]
    shapes = 110 + 60 * np.sin(x / 300) + 40 * np.cos(y / 400)
    grain = np.random.default_rng(1).normal(0, 60, (rows, columns))
    picture = np.clip(shapes + cv2.GaussianBlur(grain, (0, 0), 1.6), 0, 255).astype(np.uint8)
    for quality in range(60, 100):
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) > 1_400_000:
            path.write_bytes(data.tobytes())
            return
