"""The numbers of the moment are sums of the gateway's own metrics."""

from prometheus_client import CollectorRegistry

from gateway.console.live_numbers import LiveNumbers
from gateway.observability.metrics import Metrics


def test_counters_are_summed_over_ways_in_and_senders():
    metrics = Metrics(CollectorRegistry())
    for route, outcome in (("rest", "completed"), ("stow", "completed"), ("rest", "StoreError")):
        metrics.studies.count(route, "ward", outcome)
    metrics.studies.seconds.labels("rest").observe(0.03)
    metrics.studies.seconds.labels("stow").observe(0.2)
    metrics.admission.rejected.labels("studies").inc(4)
    metrics.studies.in_flight.set(2)
    metrics.dropfolder.parked.set(5)
    live = LiveNumbers(metrics, metrics.registry)
    numbers = live.all()
    assert live.by_outcome(metrics.studies.ended) == numbers["outcomes"]
    assert numbers["outcomes"] == {"completed": 2, "StoreError": 1}
    assert numbers["seconds"]["+Inf"] == 2
    assert numbers["rejected"] == 4
    assert (numbers["in_flight"], numbers["parked"], numbers["pending"]) == (2, 5, 0)
