"""Metrics of studies, whichever way they came."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from gateway.observability.metrics.buckets import FRESHNESS_SECONDS, SECONDS
from gateway.schemas.routing_rules import Lane

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class StudyMetrics:
    """Studies, their stages, their images and what was found in them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter(
            "radstream_studies_total",
            "Studies by way in and outcome; for a failure the kind of problem.",
            ["route", "outcome"],
            registry=registry,
        )
        self.by_caller = Counter(
            "radstream_caller_studies_total",
            "Studies by caller (a key's name, or oidc, anonymous, dropfolder) and outcome; for a "
            "failure the kind of problem.",
            ["caller", "outcome"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "radstream_studies_in_flight",
            "Studies being processed now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.seconds = Histogram(
            "radstream_study_seconds",
            "Seconds from a study's last byte to its stored result, where it got one, by way in.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._make_freshness(registry)
        self.stage_seconds = Histogram(
            "radstream_stage_seconds",
            "Seconds a study's stage took.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.images = Counter(
            "radstream_images_total",
            "Images answered, by media type: processed, or replayed from the store.",
            ["media_type", "outcome"],
            registry=registry,
        )
        self.findings = Counter(
            "radstream_findings_total",
            "Findings by model, version, label and verdict: true, false or not_applicable.",
            ["model", "version", "label", "positive"],
            registry=registry,
        )

    def _make_freshness(self, registry: CollectorRegistry) -> None:
        """Make the metrics of studies whose senders do not wait."""
        self.freshness_seconds = Histogram(
            "radstream_study_freshness_seconds",
            "Seconds from a study's durable acceptance (its 202, or the later half in the drop "
            "folder) to its stored result, by way in.",
            ["route"],
            buckets=FRESHNESS_SECONDS,
            registry=registry,
        )
        routes = ("rest", "event", "folder", "stow", "dimse")
        for route in routes:  # late results may be the first after a restart
            self.freshness_seconds.labels(route)
        self.lane_seconds = Histogram(
            "radstream_lane_seconds",
            "Seconds from the durable acceptance of a study that is processed later to its stored "
            "result, by lane.",
            ["lane"],
            buckets=FRESHNESS_SECONDS,
            registry=registry,
        )
        for lane in Lane:
            self.lane_seconds.labels(lane)

    def count(self, route: str, caller: str, outcome: str) -> None:
        """Count a study that ended."""
        self.ended.labels(route, outcome).inc()
        self.by_caller.labels(caller, outcome).inc()

    def tell_freshness(
        self, route: str, accepted_at: dt.datetime, lane: Lane | None = None
    ) -> None:
        """Count a study that has its result now; in its lane, where it waited in one."""
        age_s = max(0.0, (dt.datetime.now(dt.UTC) - accepted_at).total_seconds())  # clocks differ
        self.freshness_seconds.labels(route).observe(age_s)
        if lane is not None:
            self.lane_seconds.labels(lane).observe(age_s)
