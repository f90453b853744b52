"""Ages as DICOM writes them."""

import pytest

from gateway.vocabulary.ages import age_named, years


@pytest.mark.parametrize(
    ("text", "age"),
    [
        *(("034Y", "034Y"), ("34Y", "034Y"), ("34", "034Y"), (" 5 y ", "005Y"), ("018m", "018M")),
        *(("006W", "006W"), ("0D", "000D"), ("999Y", "999Y")),
        *(("", None), ("Y", None), ("1000Y", None), ("-3Y", None), ("3.5Y", None), ("34X", None)),
        *(("034Y\\035Y", None), ("٣Y", None), ("CHILD", None)),
    ],
)
def test_words_that_mean_an_age(text: str, age: str | None):
    assert age_named(text) == age


@pytest.mark.parametrize(
    ("age", "expected"),
    [("034Y", 34), ("018M", 1.5), ("052W", 364 / 365.25), ("010D", 10 / 365.25)],
)
def test_ages_in_years(age: str, expected: float):
    assert years(age) == pytest.approx(expected)
