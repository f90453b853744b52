"""Metrics of accepted studies, of callbacks and of deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from gateway.observability.metrics.ages import set_count_and_age

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from prometheus_client import CollectorRegistry


class BacklogMetrics:
    """Studies that were accepted, callbacks, deletions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pending_studies = Gauge(
            "radstream_pending_studies",
            "Submissions that were accepted and not yet processed, in the whole store at the last "
            "sweep.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.pending_studies_oldest_age = Gauge(
            "radstream_pending_studies_oldest_age_seconds",
            "Age of the oldest submission that was accepted and not yet processed, at the last "
            "sweep; 0 where there is none.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.pending_callbacks = Gauge(
            "radstream_pending_callbacks",
            "Callbacks that were not yet taken, in the whole store at the last sweep.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.pending_callbacks_oldest_age = Gauge(
            "radstream_pending_callbacks_oldest_age_seconds",
            "Age, since its study came, of the oldest callback that was not yet taken, at the last "
            "sweep; 0 where there is none.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.callbacks = Counter(
            "radstream_callbacks_total",
            "Callbacks by outcome of each attempt: delivered, refused, or given up.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("delivered", "refused", "given_up"):
            self.callbacks.labels(outcome)
        self.studies_complete = Counter(
            "radstream_studies_complete_total",
            "Studies that became complete: by a quiet time, or by the "
            "coming of all that was expected.",
            ["by"],
            registry=registry,
        )
        for how in ("quiet", "count"):
            self.studies_complete.labels(how)
        self.studies_incomplete = Counter(
            "radstream_studies_incomplete_total",
            "Studies that became complete without all instances or views that are expected, by "
            "what is done with their results: deliver, or hold.",
            ["action"],
            registry=registry,
        )
        for action in ("deliver", "hold"):
            self.studies_incomplete.labels(action)
        self.studies_deleted = Counter(
            "radstream_studies_deleted_total",
            "Studies deleted, by reason.",
            ["reason"],
            registry=registry,
        )

    def keep_studies(self, moments: Collection[dt.datetime]) -> None:
        """Set the count and age of accepted studies not yet processed, by when they came."""
        set_count_and_age(self.pending_studies, self.pending_studies_oldest_age, moments)

    def keep_callbacks(self, moments: Collection[dt.datetime]) -> None:
        """Set the count and age of callbacks not yet taken, by when their studies came."""
        set_count_and_age(self.pending_callbacks, self.pending_callbacks_oldest_age, moments)
