"""Every metric the gateway has, in groups, on a registry that is passed in.

A new metric belongs to the group of the part that it watches, or into a new module with a group
of its own; `docs/metrics.md` has a row for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from gateway.observability.metrics.access import AccessMetrics, AuditMetrics
from gateway.observability.metrics.admission import AdmissionMetrics
from gateway.observability.metrics.backlog import BacklogMetrics
from gateway.observability.metrics.delivery import DeliveryMetrics
from gateway.observability.metrics.dicomweb import DicomWebMetrics
from gateway.observability.metrics.dimse import DimseMetrics
from gateway.observability.metrics.dropfolder import DropFolderMetrics
from gateway.observability.metrics.http import HttpMetrics
from gateway.observability.metrics.monitoring import MonitoringMetrics
from gateway.observability.metrics.process import ImagingMetrics, ProcessMetrics
from gateway.observability.metrics.routing import RoutingMetrics
from gateway.observability.metrics.shadow import ShadowMetrics
from gateway.observability.metrics.studies import StudyMetrics
from gateway.observability.metrics.telemetry import TelemetryMetrics
from gateway.observability.metrics.triton import TritonMetrics
from gateway.observability.metrics.workers import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics import MetricWrapperBase


class Metrics:
    """The gateway's metrics; labels come from short fixed sets, never from a sender's text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.http = HttpMetrics(registry)
        self.access = AccessMetrics(registry)
        self.audit = AuditMetrics(registry)
        self.studies = StudyMetrics(registry)
        self.admission = AdmissionMetrics(registry)
        self.dicomweb = DicomWebMetrics(registry)
        self.dimse = DimseMetrics(registry)
        self.routing = RoutingMetrics(registry)
        self.shadow = ShadowMetrics(registry)
        self.dropfolder = DropFolderMetrics(registry)
        self.backlog = BacklogMetrics(registry)
        self.delivery = DeliveryMetrics(registry)
        self.triton = TritonMetrics(registry)
        self.imaging = ImagingMetrics(registry)
        self.telemetry = TelemetryMetrics(registry)
        self.monitoring = MonitoringMetrics(registry)
        self.process = ProcessMetrics(registry)
        self.workers = WorkerMetrics(registry)

    def __iter__(self) -> Iterator[MetricWrapperBase]:
        """Yield each metric, group by group."""
        for group in vars(self).values():
            if group is not self.registry:
                yield from vars(group).values()


def process_registry() -> CollectorRegistry:
    """Return a new registry that has this process, its platform and its garbage collector."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
