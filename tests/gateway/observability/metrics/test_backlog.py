"""Gauges of what waits: its number and the age of the oldest."""

import datetime as dt

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics


def test_studies_and_callbacks_are_told_apart():
    metrics = Metrics(CollectorRegistry())
    hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    metrics.backlog.keep_studies([hour_ago, None])
    metrics.backlog.keep_callbacks([])
    value = metrics.registry.get_sample_value
    assert value("radstream_pending_studies") == 2
    assert (value("radstream_pending_studies_oldest_age_seconds") or 0) >= 3600
    assert value("radstream_pending_callbacks") == 0
    assert value("radstream_pending_callbacks_oldest_age_seconds") == 0
