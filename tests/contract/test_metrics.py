"""No label may have a value that nobody foresaw.

tests/gateway/observability/metrics/test_metrics.py sees them.
"""

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from tests.support.series import BRIGHTNESS, allowed


def test_every_label_has_a_fixed_set_of_values():
    sets = allowed(BRIGHTNESS)
    labelled = {
        metric.describe()[0].name: set(metric._labelnames)
        for metric in Metrics(CollectorRegistry())
        if metric._labelnames
    }
    assert labelled == {name: set(labels) for name, labels in sets.items()}
