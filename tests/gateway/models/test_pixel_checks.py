"""Pictures held to a contract's bounds, which follow by counting pixels."""

from typing import Any

import numpy as np
import pytest

from gateway.models.pixel_checks import unaccepted_pixels
from preprocess import Frame, GreyRange
from tests.gateway.models.configs import parsed


def frame(*greys: int, rows: int = 100) -> Frame:
    """Return a picture of 100 rows and 100 columns for each grey."""
    samples = np.repeat(np.array([greys], np.uint8), 100, axis=1).repeat(rows, axis=0)
    return Frame(samples, 8, *samples.shape)


def said(pixels: dict[str, Any], picture: Frame, shown: GreyRange | None = None) -> str | None:
    document = parsed({"accepts": {"pixels": pixels}})
    return unaccepted_pixels(document, picture, shown or GreyRange())


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        ({}, None),
        ({"least_rows": 100, "least_columns": 400}, None),
        ({"least_rows": 101}, "of 101 x 1 pixels or more"),
        ({"least_columns": 401}, "of 1 x 401 pixels or more"),
        ({"least_contrast": 1}, None),
        ({"most_black": 0.25, "most_white": 0.25}, None),
        ({"most_black": 0.24}, "of which 24 % or less is black"),
        ({"most_white": 0.1}, "of which 10 % or less is white"),
    ],
)
def test_a_quarter_each_of_black_white_and_two_greys(pixels: dict[str, Any], reason: str | None):
    found = said(pixels, frame(0, 100, 150, 255))
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_contrast_is_that_of_the_percentiles_and_not_of_stray_pixels():
    picture = frame(100, 151)  # 51 of 255 levels apart
    picture.samples[0, :2] = 0, 255
    assert said({"least_contrast": 0.2}, picture) is None
    found = said({"least_contrast": 0.21}, picture)
    assert found == "was made for pictures with a contrast of 0.21 or more"


def test_what_a_window_clips_is_black_and_white():
    picture = frame(50, 100, 150, 200)
    shown = GreyRange(black=100 / 255, white=200 / 255)
    assert said({"most_black": 0.5, "most_white": 0.25}, picture, shown) is None
    assert said({"most_black": 0.49}, picture, shown) is not None
    assert said({"most_white": 0.24}, picture, shown) is not None


def test_a_model_without_bounds_takes_any_picture():
    assert unaccepted_pixels(parsed(), frame(0), GreyRange()) is None
