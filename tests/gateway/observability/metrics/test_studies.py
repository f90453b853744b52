"""Studies that ended, and how old their results are."""

import datetime as dt

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics


def test_a_study_is_counted_by_its_way_and_by_its_caller():
    metrics = Metrics(CollectorRegistry())
    metrics.studies.count("rest", "ward-3", "completed")
    value = metrics.registry.get_sample_value
    assert value("radstream_studies_total", {"route": "rest", "outcome": "completed"}) == 1
    labels = {"caller": "ward-3", "outcome": "completed"}
    assert value("radstream_caller_studies_total", labels) == 1


def test_a_result_from_the_future_of_another_clock_is_of_now():
    metrics = Metrics(CollectorRegistry())
    metrics.studies.tell_freshness("rest", dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    name = "radstream_study_freshness_seconds"
    value = metrics.registry.get_sample_value
    assert value(f"{name}_count", {"route": "rest"}) == 1
    assert value(f"{name}_sum", {"route": "rest"}) == 0
    assert value(f"{name}_count", {"route": "dimse"}) == 0
