"""Metrics of shadow models, and of their agreement with the models whose readings are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from gateway.observability.metrics.buckets import SECONDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

DROPPED = ("queue_full", "not_taken", "study_gone")
_DIFFERENCES = (-0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_PAIR = ["shadow", "shadow_version", "model", "version", "label"]


class ShadowMetrics:
    """Readings by shadow models."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge(
            "radstream_shadow_waiting",
            "Images that wait for shadow models now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.dropped = Counter(
            "radstream_shadow_dropped_total",
            "Images that no shadow model read, by reason: queue_full under load, not_taken where "
            "the model is away or its contract does not take the image, study_gone where the study "
            "was deleted.",
            ["reason"],
            registry=registry,
        )
        for reason in DROPPED:
            self.dropped.labels(reason)
        self.readings = Counter(
            "radstream_shadow_readings_total",
            "Attempts of shadow models to read an image, by outcome: read or failed.",
            ["model", "version", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "radstream_shadow_seconds",
            "Seconds of the turns that shadow models take, one for the image and one for the "
            "inference.",
            buckets=SECONDS,
            registry=registry,
        )
        self.pairs = Counter(
            "radstream_agreement_pairs_total",
            "Findings by a shadow model beside those that are shown, by label and verdicts: "
            "both_positive, both_negative, only_shown, only_shadow; not_applicable where one of "
            "them has no verdict.",
            [*_PAIR, "verdicts"],
            registry=registry,
        )
        self.differences = Histogram(
            "radstream_agreement_difference",
            "Probability by the shadow model less the one that is shown, by label.",
            _PAIR,
            buckets=_DIFFERENCES,
            registry=registry,
        )
