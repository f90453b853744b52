"""Metrics of the drop folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from gateway.observability.metrics.ages import set_count_and_age

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

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
            multiprocess_mode="livemax",
        )
        self.waiting_oldest_age = Gauge(
            "radstream_dropfolder_waiting_oldest_age_seconds",
            "Age of the oldest image or sidecar that waited for its other half at the last sweep; "
            "0 where there is none.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.parked = Gauge(
            "radstream_dropfolder_parked",
            "Items that were parked in the whole store at the last sweep.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.parked_oldest_age = Gauge(
            "radstream_dropfolder_parked_oldest_age_seconds",
            "Age of the oldest item that was parked in the whole store at the last sweep; 0 where "
            "there is none.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def keep_waiting(self, moments: Collection[dt.datetime | None]) -> None:
        """Set the count and age of waiting halves, by when they came."""
        set_count_and_age(self.waiting, self.waiting_oldest_age, moments)

    def keep_parked(self, moments: Collection[dt.datetime | None]) -> None:
        """Set the count and age of parked items, by when they were parked."""
        set_count_and_age(self.parked, self.parked_oldest_age, moments)
