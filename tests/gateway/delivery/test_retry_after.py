"""Retry-After, as servers say it."""

import datetime as dt
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.delivery.retry_after import retry_after_s


def answer(value: str | None) -> Any:
    return SimpleNamespace(headers={} if value is None else {"Retry-After": value})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("86400", 3600.0), ("9" * 400, 3600.0)],
)
def test_seconds_are_bounded(value: str, seconds: float):
    assert retry_after_s(answer(value)) == seconds


@pytest.mark.parametrize("value", [None, "", "soon", "-1", "1.5"])
def test_what_is_no_time_is_none(value: str | None):
    assert retry_after_s(answer(value)) is None


@pytest.mark.parametrize(("hours", "seconds"), [(-1, 0.0), (24, 3600.0)])
def test_a_date_counts_from_now(hours: int, seconds: float):
    at = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    assert retry_after_s(answer(format_datetime(at, usegmt=True))) == seconds
