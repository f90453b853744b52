"""Metrics of the processes that a gateway consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class WorkerMetrics:
    """The processes that serve requests, and the ends of those that should not have ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.serving = Gauge(
            "radstream_workers",
            "Processes of the gateway that serve requests.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.deaths = Counter(
            "radstream_worker_deaths_total",
            "Processes of a gateway with several that ended, hung or had a part that failed, and "
            "were replaced.",
            registry=registry,
        )
