"""A gauge of ages tells of the oldest, and 0 where there is none."""

import datetime as dt
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, Gauge

from gateway.observability.metrics.ages import set_count_and_age

NOW = dt.datetime.now(dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("moments", "count", "at_least_s"),
    [
        ([], 0, 0),
        ([None, None], 2, 0),
        ([NOW - HOUR, NOW - 2 * HOUR, None], 3, 7200),
        ([NOW + HOUR], 1, 0),  # by the clock of another machine
    ],
)
def test_count_and_age(moments: Sequence[dt.datetime | None], count: int, at_least_s: float):
    registry = CollectorRegistry()
    things = Gauge("things", "", registry=registry)
    age = Gauge("age", "", registry=registry)
    set_count_and_age(things, age, moments)
    assert registry.get_sample_value("things") == count
    found = registry.get_sample_value("age")
    assert found is not None
    assert found >= at_least_s if at_least_s else found == 0
