"""Metrics by which to tell whether this process keeps up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge, Histogram, Info

from gateway import __version__
from gateway.observability.metrics.buckets import SECONDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class ImagingMetrics:
    """The threads that images are worked on, and the processes that risky files are decoded in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.threads = Gauge(
            "radstream_image_threads",
            "Threads for image work.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.threads_busy = Gauge(
            "radstream_image_threads_busy",
            "Image threads that are busy now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.jobs_waiting = Gauge(
            "radstream_image_jobs_waiting",
            "Image jobs that wait for a thread now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.decode_processes_busy = Gauge(
            "radstream_decode_processes_busy",
            "Processes for risky codecs that are at a file now.",
            registry=registry,
            multiprocess_mode="livesum",
        )


class ProcessMetrics:
    """The event loop, and which gateway this is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.event_loop_lag = Histogram(
            "radstream_event_loop_lag_seconds",
            "Seconds by which a timer of the event loop fired late.",
            buckets=SECONDS,
            registry=registry,
        )
        self.build = Info("radstream_build", "The gateway's version.", registry=registry)
        self.build.info({"version": __version__})
