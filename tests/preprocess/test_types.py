import pytest

from preprocess import InputSpec, Percentile, Window


@pytest.mark.parametrize(
    "fields",
    [
        {"rows": 0},
        {"rows": 8193},
        {"columns": -1},
        {"channels": 2},
        {"output_range": (1.0, 1.0)},
        {"output_range": (0.0, float("inf"))},
        {"output_range": (float("nan"), 1.0)},
    ],
)
def test_impossible_input_is_refused(fields):
    with pytest.raises(ValueError, match=r"rows|channels|output_range"):
        InputSpec(**{"rows": 224, "columns": 224} | fields)


@pytest.mark.parametrize(
    ("center", "width"), [(0.5, 0), (0.5, -1), (float("nan"), 1), (0, float("inf"))]
)
def test_impossible_window_is_refused(center, width):
    with pytest.raises(ValueError, match="window"):
        Window(center, width)


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 50), (50, 50), (60, 40), (0, 101), (float("nan"), 5)]
)
def test_impossible_percentiles_are_refused(low, high):
    with pytest.raises(ValueError, match="percentiles"):
        Percentile(low, high)
