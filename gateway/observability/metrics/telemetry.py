"""Metrics of telemetry's records, from queue to sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class TelemetryMetrics:
    """Records made, sent, kept and lost, and what those that wait take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queued = Counter(
            "radstream_telemetry_queued_total",
            "Telemetry events that the gateway made.",
            registry=registry,
        )
        self.sent = Counter(
            "radstream_telemetry_sent_total",
            "Telemetry records that the sink took, replayed ones among them.",
            registry=registry,
        )
        self.retried = Counter(
            "radstream_telemetry_retried_total",
            "Telemetry records sent again after a refusal.",
            registry=registry,
        )
        self.spooled = Counter(
            "radstream_telemetry_spooled_total",
            "Telemetry records spooled to disk while the sink was slow or unavailable.",
            registry=registry,
        )
        self.replayed = Counter(
            "radstream_telemetry_replayed_total",
            "Spooled telemetry records that the sink took.",
            registry=registry,
        )
        self.dropped = Counter(
            "radstream_telemetry_dropped_total",
            "Telemetry records lost, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in ("queue_full", "spool_full", "damaged"):
            self.dropped.labels(reason)
        self.queue_bytes = Gauge(
            "radstream_telemetry_queue_bytes",
            "Memory that telemetry records take while they wait.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.spool_bytes = Gauge(
            "radstream_telemetry_spool_bytes",
            "Disk that telemetry records take while they wait.",
            registry=registry,
            multiprocess_mode="livesum",
        )
