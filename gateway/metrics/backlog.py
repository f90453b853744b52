"""What is counted of work that was promised, and of studies that are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class BacklogMetrics:
    """Studies that were accepted, callbacks, deletions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pending_studies = Gauge(
            "radstream_pending_studies",
            "Submissions that were accepted and not yet read, in the whole store at the last "
            "sweep.",
            registry=registry,
        )
        self.pending_callbacks = Gauge(
            "radstream_pending_callbacks",
            "Callbacks that were not yet taken, in the whole store at the last sweep.",
            registry=registry,
        )
        self.callbacks = Counter(
            "radstream_callbacks_total",
            "Callbacks by outcome of each attempt: delivered, refused, or given up.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("delivered", "refused", "given_up"):
            self.callbacks.labels(outcome)
        self.studies_deleted = Counter(
            "radstream_studies_deleted_total",
            "Studies deleted, by reason.",
            ["reason"],
            registry=registry,
        )
