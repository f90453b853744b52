"""Instances by Failure Reason, as DICOM writes it."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics


@pytest.mark.parametrize(
    ("failure", "reason"), [(None, "0000"), (0x0110, "0110"), (0xA700, "A700")]
)
def test_an_instance_is_counted_by_its_reason(failure: int | None, reason: str):
    metrics = Metrics(CollectorRegistry())
    metrics.dicomweb.count(failure)
    name = "radstream_stow_instances_total"
    assert metrics.registry.get_sample_value(name, {"reason": reason}) == 1
