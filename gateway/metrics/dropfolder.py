"""What is counted of the drop folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class DropFolderMetrics:
    """Deliveries, and what lies in the drop folder."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.deliveries = Counter(
            "radstream_dropfolder_deliveries_total",
            "Objects of the drop folder delivered, by way in and outcome.",
            ["route", "outcome"],
            registry=registry,
        )
        self.waiting = Gauge(
            "radstream_dropfolder_waiting",
            "Images and sidecars that waited for their other half at the last sweep.",
            registry=registry,
        )
        self.parked = Gauge(
            "radstream_dropfolder_parked",
            "Items that were parked in the whole store at the last sweep.",
            registry=registry,
        )
