"""Faults of a picture name sizes, limits and frames, and nothing of the file's own words."""

import pytest

from preprocess.errors import (
    NoContrastError,
    TooManyPixelsError,
    UnrecognisedImageError,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnrecognisedImageError(), "the bytes are neither a JPEG, a PNG nor a DICOM file"),
        (
            UnrecognisedImageError("a TIFF"),
            "the bytes are neither a JPEG, a PNG nor a DICOM file, but a TIFF",
        ),
        (TooManyPixelsError(3, 4, 5), "3 rows x 4 columns exceed the limit of 5 pixels"),
        (
            TooManyPixelsError(3, 4, 5, frames=2, samples_per_pixel=3),
            "3 rows x 4 columns x 2 frames x 3 samples per pixel exceed the limit of 5 pixels",
        ),
    ],
)
def test_reason_is_one_clause_with_the_numbers(error: Exception, reason: str):
    assert str(error) == reason


@pytest.mark.parametrize(
    ("blank", "frames", "begins"),
    [
        ([1], 1, "as shown"),
        ([2], 3, "frame 2: as shown"),
        ([1, 3], 3, "frames 1, 3: as shown"),
        (list(range(1, 12)), 20, "frames 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and more: as shown"),
    ],
)
def test_blank_frames_are_counted_from_one_and_not_without_end(
    blank: list[int], frames: int, begins: str
):
    error = NoContrastError(blank, frames)
    assert error.reason.startswith(begins)
    assert error.blank_frames == blank
