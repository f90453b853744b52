"""Drift of models in the report."""

import datetime as dt
from typing import Any

from gateway.cli.health import exported
from gateway.monitoring.counts import ReadingCounts
from gateway.monitoring.documents import ModelHealth, Signal
from gateway.report.model_health import drift

SINCE = dt.datetime(2026, 1, 5, 3, 20, tzinfo=dt.UTC)


def health(version: str, **fields: Any) -> dict[str, Any]:
    made = ModelHealth(model="chest", version=version, **fields)
    return exported(made)


def test_each_signal_has_its_bounds_limit_and_alarm():
    signals = {
        "positive/mass": Signal(value=2.5, limit=10, n=900),
        "mean": Signal(value=0.5, low=0.4, high=0.61, limit=0.2, n=500, alarm_since=SINCE),
    }
    known = {"reference": ReadingCounts(readings=240), "reference_run": "0123456789abcdef"}
    found = drift([health("2", signals=signals, **known)])
    mean, positive = found.records()
    assert mean == {
        "model": "chest",
        "version": "2",
        "reference": "acceptance",
        "reference_readings": 240,
        "signal": "mean",
        "value": "0.500",
        "bounds": "0.400 to 0.610",
        "limit": "0.2",
        "n": 500,
        "alarm_since": SINCE,
    }
    assert (positive["signal"], positive["value"], positive["bounds"]) == (
        *("positive/mass", "2.500"),
        "",
    )
    assert (positive["limit"], positive["alarm_since"]) == ("10", "")


def test_a_version_without_a_signal_has_not_enough_data():
    [row] = drift([health("1", reference=ReadingCounts(readings=99))]).records()
    assert (row["reference_readings"], row["signal"]) == (99, "not enough data")
