"""Expiries of credentials are those of now: one that went leaves no series."""

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics


def test_expiries_of_one_kind_are_replaced_and_others_stay():
    metrics = Metrics(CollectorRegistry())

    def expires(name: str) -> float | None:
        return metrics.registry.get_sample_value(
            "radstream_credential_expires_timestamp_seconds", {"credential": name}
        )

    metrics.access.keep_expiries("certificate", {"certificate": 50.0})
    metrics.access.keep_expiries("key", {"key a": 10.0, "key b": 20.0})
    metrics.access.keep_expiries("key", {"key b": 30.0})
    assert [expires(name) for name in ("certificate", "key a", "key b")] == [50.0, None, 30.0]
