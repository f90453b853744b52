"""How long each stage of a study takes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.metrics import Metrics


class Stages:
    """Times by stage for one study, observed in the histogram as they come."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began = time.perf_counter()
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time the block; a stage entered twice adds up."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - began)

    def add(self, stage: str, seconds: float) -> None:
        """Note seconds that were measured elsewhere, such as on another thread."""
        self._metrics.stage_seconds.labels(stage).observe(seconds)
        self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + seconds * 1000, 3)

    def total_ms(self) -> float:
        """Milliseconds since the study came in."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    def log_fields(self) -> dict[str, float]:
        """Milliseconds by stage and in all, as a log line carries them."""
        fields = {f"{stage}_ms": value for stage, value in self.milliseconds.items()}
        return {**fields, "total_ms": self.total_ms()}
