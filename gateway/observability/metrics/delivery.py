"""Metrics of the delivery of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from gateway.observability.metrics.ages import set_count_and_age

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping

    from prometheus_client import CollectorRegistry

OUTCOMES = ("confirmed", "acknowledged", "not_held", "unanswered", "refused", "withheld")


class DeliveryMetrics:
    """Results on their way to destinations; each destination is one of the routing document."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.items = Gauge(
            "radstream_delivery_items",
            "Results for a destination in the whole store at the last sweep, by state: waiting, "
            "until it acknowledges them, or parked.",
            ["destination", "state"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.oldest_age = Gauge(
            "radstream_delivery_oldest_age_seconds",
            "Age of the oldest result that a destination has not acknowledged, at the last sweep; "
            "0 where there is none.",
            ["destination"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.attempts = Counter(
            "radstream_delivery_attempts_total",
            "Attempts to bring a result, by outcome: confirmed, acknowledged, not_held though it "
            "was acknowledged, unanswered, refused, or withheld by the gateway's own check.",
            ["destination", "outcome"],
            registry=registry,
        )
        self.circuit_open = Gauge(
            "radstream_delivery_circuit_open",
            "1 while a destination does not answer and is tried with one result at a time; else 0.",
            ["destination"],
            registry=registry,
            multiprocess_mode="livemax",
        )

    def expect(self, destination: str) -> None:
        """Show every series of a destination from the start, at 0."""
        for outcome in OUTCOMES:
            self.attempts.labels(destination, outcome)
        for state in ("waiting", "parked"):
            self.items.labels(destination, state)
        self.oldest_age.labels(destination)
        self.circuit_open.labels(destination)

    def keep_waiting(self, destination: str, moments: Collection[dt.datetime]) -> None:
        """Set the count and age of what a destination has not acknowledged, by when it came."""
        count = self.items.labels(destination, "waiting")
        set_count_and_age(count, self.oldest_age.labels(destination), moments)

    def keep_parked(self, counts: Mapping[str, int]) -> None:
        """Set the number of parked results of each destination."""
        for destination, count in counts.items():
            self.items.labels(destination, "parked").set(count)
