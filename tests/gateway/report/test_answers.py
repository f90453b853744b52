"""Values as a person reads them: the column's name has the unit."""

import datetime as dt
from typing import Any

import pytest

from gateway.report.answers import heading, is_number, shown


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("studies", 1234567, "1,234,567"),
        ("p95_ms", 1234.56, "1,234.6"),
        ("error_percent", 0.5, "0.50"),
        ("cost_usd", 12.5, "12.50"),
        ("cost_usd", 0.00123, "0.0012"),
        ("cost_usd", 0.0, "0.00"),
        ("weekday", 1, "Mon"),
        ("hour_of_day", 7, "07:00"),
        ("hour", dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC), "2026-01-31 09:00"),
        ("hour", None, "all hours"),
        ("model", None, ""),
        ("model", "cxr", "cxr"),
    ],
)
def test_value(column: str, value: Any, text: str):
    assert shown(column, value) == text


def test_heading_has_the_unit():
    assert heading("error_percent") == "error %"
    assert heading("cost_per_1000_usd") == "cost per 1000 USD"


def test_a_weekday_is_no_quantity():
    assert is_number("studies", 3)
    assert not is_number("weekday", 3)
    assert not is_number("model", "3")
