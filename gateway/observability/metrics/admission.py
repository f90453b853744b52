"""Metrics of admission: the work taken on, and the refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

REASONS = ("studies", "bytes", "caller", "line", "pictures", "connections")


class AdmissionMetrics:
    """Both budgets with their limits, and the refusals by the bound that was reached."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rejected = Counter(
            "radstream_admission_rejected_total",
            "Studies, pictures and connections rejected by admission control, by limit.",
            ["reason"],
            registry=registry,
        )
        for reason in REASONS:
            self.rejected.labels(reason)
        self.quota_refused = Counter(
            "radstream_tenant_quota_rejected_total",
            "Studies rejected for the quota of their tenant, by quota.",
            ["tenant", "quota"],
            registry=registry,
        )
        self.background_held = Counter(
            "radstream_background_held_seconds_total",
            "Seconds that studies nobody waits for were held back as the next in line.",
            registry=registry,
        )
        self.bytes = Gauge(
            "radstream_admitted_bytes",
            "Bytes of bodies and files in memory now, those announced among them.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.limit_bytes = Gauge(
            "radstream_admission_limit_bytes",
            "Bytes of bodies and files that may be in memory at once.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.studies = Gauge(
            "radstream_admitted_studies",
            "Studies that hold a slot now, over all ways in.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.limit_studies = Gauge(
            "radstream_admission_limit_studies",
            "Concurrency limit: studies that may be processed at once.",
            registry=registry,
            multiprocess_mode="livesum",
        )
