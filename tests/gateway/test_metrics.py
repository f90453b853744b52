"""What stands on the registry before anything has happened."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.metrics import Metrics


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("radstream_telemetry_dropped_total", {"reason": "spool_full"}),
        ("radstream_inference_errors_total", {"error": "InferenceUnavailableError"}),
        ("radstream_inference_errors_total", {"error": "ContractError"}),
    ],
)
def test_what_alerts_rise_on_is_0_from_the_start(name: str, labels: dict[str, str]):
    """A counter whose first sample is 1 has not risen, as far as Prometheus knows."""
    assert Metrics(CollectorRegistry()).registry.get_sample_value(name, labels) == 0
