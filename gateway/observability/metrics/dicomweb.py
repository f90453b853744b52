"""Metrics of DICOMweb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# That for success, and those of `gateway.studies.dicom_instance`, which stands above.
REASONS = ("0000", "0110", "0122", "A700", "A900", "C000", "C001", "C122")


class DicomWebMetrics:
    """Instances of store transactions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.instances = Counter(
            "radstream_stow_instances_total",
            "Instances answered by STOW-RS, by Failure Reason (0008,1197): 0000 is stored.",
            ["reason"],
            registry=registry,
        )
        for reason in REASONS:
            self.instances.labels(reason)

    def count(self, failure: int | None) -> None:
        """Count an instance that was answered, by its Failure Reason if it has one."""
        self.instances.labels(f"{failure or 0:04X}").inc()
