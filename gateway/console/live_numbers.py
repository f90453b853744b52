"""Numbers of this moment, out of the gateway's own metrics.

Counters as they stand: the page that shows them takes the differences, so that nothing is kept or
computed while no page is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

    from gateway.observability.metrics import Metrics


def live_numbers(metrics: Metrics) -> dict[str, Any]:
    """Return counters of studies, their times and their failures, and the lengths of queues."""
    buckets: dict[str, float] = {}
    for sample in _samples(metrics.studies.seconds, "_bucket"):
        bound = sample.labels["le"]
        buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return {
        "outcomes": by_outcome(metrics.studies.ended),
        "seconds": buckets,
        "rejected": sum(sample.value for sample in _samples(metrics.admission.rejected, "_total")),
        "in_flight": _value(metrics.studies.in_flight),
        "limit": _value(metrics.admission.limit_studies),
        "pending": _value(metrics.backlog.pending_studies),
        "waiting": _value(metrics.dropfolder.waiting),
        "parked": _value(metrics.dropfolder.parked),
    }


def by_outcome(counter: MetricWrapperBase) -> dict[str, float]:
    """Return a counter's sums by its label `outcome`."""
    outcomes: dict[str, float] = {}
    for sample in _samples(counter, "_total"):
        outcome = sample.labels["outcome"]
        outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
    return outcomes


def _samples(metric: MetricWrapperBase, ending: str) -> list[Any]:
    [family] = metric.collect()
    return [sample for sample in family.samples if sample.name.endswith(ending)]


def _value(metric: MetricWrapperBase) -> float:
    [family] = metric.collect()
    return float(family.samples[0].value)
