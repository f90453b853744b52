"""Gauges of what lies somewhere: how much, and for how long the oldest of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from prometheus_client import Gauge


def set_count_and_age(
    count: Gauge, oldest_age: Gauge, moments: Collection[dt.datetime | None]
) -> None:
    """Set a count and the age in seconds of the oldest, 0 where there is none.

    Parameters
    ----------
    moments
        Arrival of each; None counts, though it has no age.
    """
    count.set(len(moments))
    known = [moment for moment in moments if moment is not None]
    age_s = (dt.datetime.now(dt.UTC) - min(known)).total_seconds() if known else 0.0
    oldest_age.set(max(0.0, age_s))
