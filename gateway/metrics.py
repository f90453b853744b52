"""Every metric the gateway has, on a registry that is passed in."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

from gateway import __version__

# From a replayed answer (1 ms) to the request's deadline.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The gateway's metrics; labels come from short fixed sets, never from a sender's text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.http_requests = Counter(
            "radstream_http_requests_total",
            "HTTP requests answered, by route template, method and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.http_request_seconds = Histogram(
            "radstream_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.http_in_flight = Gauge(
            "radstream_http_requests_in_flight",
            "HTTP requests being answered now.",
            registry=registry,
        )
        self.studies = Counter(
            "radstream_studies_total",
            "Studies by way in and outcome; for a failure the kind of problem.",
            ["route", "outcome"],
            registry=registry,
        )
        self.studies_in_flight = Gauge(
            "radstream_studies_in_flight",
            "Studies being read now.",
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "radstream_stage_seconds",
            "Seconds a study's stage took.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.images = Counter(
            "radstream_images_total",
            "Images answered, by media type: read anew, or replayed from the store.",
            ["media_type", "outcome"],
            registry=registry,
        )
        self.findings = Counter(
            "radstream_findings_total",
            "Findings by model, label and whether the probability reached the threshold.",
            ["model", "label", "positive"],
            registry=registry,
        )
        self.deliveries = Counter(
            "radstream_dropfolder_deliveries_total",
            "Objects of the drop folder delivered, by way in and outcome.",
            ["route", "outcome"],
            registry=registry,
        )
        self.waiting_halves = Gauge(
            "radstream_dropfolder_waiting",
            "Images and sidecars that waited for their other half at the last sweep.",
            registry=registry,
        )
        self.parked_items = Gauge(
            "radstream_dropfolder_parked",
            "Objects that were parked at the last sweep.",
            registry=registry,
        )
        self.inference_errors = Counter(
            "radstream_inference_errors_total",
            "Calls to Triton that failed, by kind of error.",
            ["error"],
            registry=registry,
        )
        self.model_ready = Gauge(
            "radstream_model_ready",
            "1 where the model's contract and golden image passed and it answers, else 0.",
            ["model", "version"],
            registry=registry,
        )
        self.telemetry_queued = Counter(
            "radstream_telemetry_queued_total",
            "Telemetry events that the gateway made.",
            registry=registry,
        )
        self.telemetry_sent = Counter(
            "radstream_telemetry_sent_total",
            "Telemetry records that the sink took, replayed ones among them.",
            registry=registry,
        )
        self.telemetry_retried = Counter(
            "radstream_telemetry_retried_total",
            "Telemetry records sent again after a refusal.",
            registry=registry,
        )
        self.telemetry_spooled = Counter(
            "radstream_telemetry_spooled_total",
            "Telemetry records put on disk while the sink was slow or away.",
            registry=registry,
        )
        self.telemetry_replayed = Counter(
            "radstream_telemetry_replayed_total",
            "Telemetry records that the sink took from the disk.",
            registry=registry,
        )
        self.telemetry_dropped = Counter(
            "radstream_telemetry_dropped_total",
            "Telemetry records lost, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in ("queue_full", "spool_full", "damaged"):
            self.telemetry_dropped.labels(reason)
        self.telemetry_queue_bytes = Gauge(
            "radstream_telemetry_queue_bytes",
            "Memory that telemetry records take while they wait.",
            registry=registry,
        )
        self.telemetry_spool_bytes = Gauge(
            "radstream_telemetry_spool_bytes",
            "Disk that telemetry records take while they wait.",
            registry=registry,
        )
        self.build = Info("radstream_build", "The gateway's version.", registry=registry)
        self.build.info({"version": __version__})


def process_registry() -> CollectorRegistry:
    """A new registry that also tells of this process, its platform and its garbage collector."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
