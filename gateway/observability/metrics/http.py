"""Metrics of the HTTP edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from gateway.observability.metrics.buckets import SECONDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


_WAYS_IN = (
    "/v1/studies",
    "/dicomweb/studies",
    "/dicomweb/studies/{study_instance_uid}",
    "/v1/events/s3",
)
_FAULTS = ("500", "502", "503", "504")


class HttpMetrics:
    """Requests, by the template of their route."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "radstream_http_requests_total",
            "HTTP requests answered, by route template, method and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        # A counter that begins with its first fault hides it: `increase` sees no step from nothing.
        for route in _WAYS_IN:
            for status in _FAULTS:
                self.requests.labels(route, "POST", status)
        self.seconds = Histogram(
            "radstream_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.unread = Counter(
            "radstream_http_connections_given_up_total",
            "Connections closed because responses were not read, or too much was buffered on all.",
            registry=registry,
        )
        self.in_flight = Gauge(
            "radstream_http_requests_in_flight",
            "HTTP requests being answered now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
