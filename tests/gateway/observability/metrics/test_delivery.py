"""Metrics of deliveries, by destination."""

import datetime as dt

from prometheus_client import CollectorRegistry

from gateway.observability.metrics.delivery import DeliveryMetrics


def test_every_series_of_a_destination_is_there_from_the_start():
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    metrics.expect("pacs")
    labels = {"destination": "pacs"}
    for state in ("waiting", "parked"):
        found = registry.get_sample_value("radstream_delivery_items", labels | {"state": state})
        assert found == 0
    assert registry.get_sample_value("radstream_delivery_oldest_age_seconds", labels) == 0
    assert registry.get_sample_value("radstream_delivery_circuit_open", labels) == 0


def test_what_waits_and_what_is_parked_are_counted_apart():
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry)
    metrics.keep_waiting("pacs", [dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)] * 2)
    metrics.keep_parked({"pacs": 1, "vna": 0})
    counts = {
        (name, state): registry.get_sample_value(
            "radstream_delivery_items", {"destination": name, "state": state}
        )
        for name, state in (("pacs", "waiting"), ("pacs", "parked"), ("vna", "parked"))
    }
    assert list(counts.values()) == [2, 1, 0]
    age_s = registry.get_sample_value(
        "radstream_delivery_oldest_age_seconds", {"destination": "pacs"}
    )
    assert age_s is not None
    assert age_s >= 3600
