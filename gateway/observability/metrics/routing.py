"""Metrics of the routing document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class RoutingMetrics:
    """The routing document and its use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.file_valid = Gauge(
            "radstream_routing_file_valid",
            "1 while the routing document's current content is in use, 0 while a stale one is.",
            registry=registry,
        )
        self.file_valid.set(1)  # there is nothing older before the first change
