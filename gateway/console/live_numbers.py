"""Numbers of this moment, out of the gateway's own metrics.

Counters as they stand: the page that shows them takes the differences, so that nothing is kept or
computed while no page is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase
    from prometheus_client.registry import Collector

    from gateway.observability.metrics import Metrics


class LiveNumbers:
    """Values of the gateway's metrics at one moment.

    Parameters
    ----------
    metrics
        Names of the metrics.
    collected
        Values, of all processes of the gateway.
    """

    def __init__(self, metrics: Metrics, collected: Collector) -> None:
        self._metrics = metrics
        self._families = {family.name: family for family in collected.collect()}

    def all(self) -> dict[str, Any]:
        """Return counters of studies, their times and their failures, and the lengths of queues."""
        metrics, buckets = self._metrics, dict[str, float]()
        for sample in self._samples(metrics.studies.seconds, "_bucket"):
            bound = sample.labels["le"]
            buckets[bound] = buckets.get(bound, 0.0) + sample.value
        rejected = self._samples(metrics.admission.rejected, "_total")
        return {
            "outcomes": self.by_outcome(metrics.studies.ended),
            "seconds": buckets,
            "rejected": sum(sample.value for sample in rejected),
            "in_flight": self._value(metrics.studies.in_flight),
            "limit": self._value(metrics.admission.limit_studies),
            "pending": self._value(metrics.backlog.pending_studies),
            "waiting": self.waiting_halves(),
            "parked": self._value(metrics.dropfolder.parked),
        }

    def waiting_halves(self) -> float:
        """Return how many halves wait in the drop folder."""
        return self._value(self._metrics.dropfolder.waiting)

    def by_outcome(self, counter: MetricWrapperBase) -> dict[str, float]:
        """Return a counter's sums by its label `outcome`."""
        outcomes: dict[str, float] = {}
        for sample in self._samples(counter, "_total"):
            outcome = sample.labels["outcome"]
            outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
        return outcomes

    def _samples(self, metric: MetricWrapperBase, ending: str = "") -> list[Any]:
        [described] = metric.describe()
        family = self._families[described.name]
        return [sample for sample in family.samples if sample.name.endswith(ending)]

    def _value(self, metric: MetricWrapperBase) -> float:
        return float(self._samples(metric)[0].value)
