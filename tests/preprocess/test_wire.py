"""Answers of a process are not believed beyond what was asked."""

import pytest

from preprocess import (
    Limits,
    TooManyPixelsError,
    TruncatedImageError,
    wire,
)
from tests.preprocess.processes import jpeg_ls


def test_errors_arrive_with_their_fields(workers):
    whole = jpeg_ls()
    with pytest.raises(TruncatedImageError):
        workers.decode(whole[: len(whole) // 2])
    with pytest.raises(TooManyPixelsError) as caught:
        workers.decode(jpeg_ls(NumberOfFrames=3), Limits(pixels=100))
    assert (caught.value.rows, caught.value.columns, caught.value.frames) == (70, 90, 3)
    assert caught.value.reason == "70 rows x 90 columns x 3 frames exceed the limit of 100 pixels"


def test_an_answer_larger_than_asked_for_is_not_believed():
    head = {"frames": [{"shape": [5000, 5000], "dtype": "uint8"}]}
    with pytest.raises(ValueError, match="limits"):
        wire.unpack_frames(head, Limits(pixels=1000))


def test_an_answer_cannot_name_any_class():
    with pytest.raises(KeyError):
        wire.unpack_error({"error": "annotations", "fields": {}})
