"""The metrics of the first process of a gateway of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.observability.metrics import process_registry
from gateway.observability.metrics.combined import families_of, modes_of
from gateway.observability.metrics.triton import TritonMetrics
from gateway.observability.metrics.workers import WorkerMetrics

if TYPE_CHECKING:
    from gateway.observability.metrics.combined import Family


class SupervisorMetrics:
    """Counts of the first process itself; the rest are the workers'."""

    def __init__(self) -> None:
        self._registry = process_registry()
        self.triton = TritonMetrics(self._registry)
        self.workers = WorkerMetrics(self._registry)
        groups = (self.triton, self.workers)
        self._modes = modes_of(metric for group in groups for metric in vars(group).values())

    def families(self) -> list[Family]:
        """Return them as they are now."""
        return families_of(self._registry, self._modes)
