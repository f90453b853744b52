"""Timer of a study's stages: the time that each takes, and the one under way."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import get_current_span

from gateway.observability.tracing import NO_TRACER, exemplar, spanned
from gateway.schemas.telemetry import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

    from gateway.observability.metrics import Metrics
    from gateway.schemas.result import ModelVersion


@dataclass(slots=True)
class Timing:
    """Time spent in a stage, and when it last ended."""

    milliseconds: float
    ended_at: dt.datetime


class Stages:
    """Times by stage for one study, observed in the histogram as they come.

    Parameters
    ----------
    metrics
        Has the histogram.
    validate_s
        Seconds of the first stage, which was over before.
    tracer
        Makes a span of each stage.

    Attributes
    ----------
    timings : dict of Stage to Timing
        The stages that were gone through, in their order.
    current : Stage or None
        The one that the study is in, or that it failed in.
    model : ModelVersion or None
        The model that reads all of the study's images, once that is known.
    size : (int, int) or None
        Rows and columns of all of its frames, once they are known.
    not_processed : int or None
        Number of its images that cannot be processed, once that is known.
    first_received_at : datetime or None
        Time at which an object of the drop folder came that is delivered again, once it is known.
    """

    def __init__(
        self, metrics: Metrics, *, validate_s: float = 0.0, tracer: Tracer = NO_TRACER
    ) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._began = time.perf_counter() - validate_s
        self._entered = self._began
        self.timings: dict[Stage, Timing] = {}
        self.current: Stage | None = None
        self.model: ModelVersion | None = None
        self.size: tuple[int, int] | None = None
        self.not_processed: int | None = None
        self.first_received_at: dt.datetime | None = None
        self.add(Stage.VALIDATE, validate_s)

    @contextmanager
    def time(self, stage: Stage) -> Iterator[None]:
        """Time the block; a stage entered twice adds up."""
        with self.within(stage):
            try:
                yield
            finally:
                self.add(stage, time.perf_counter() - self._entered)

    @contextmanager
    def within(self, stage: Stage, *, span: str | None = None) -> Iterator[None]:
        """Attribute what goes wrong in the block to the stage; see `add` for its time.

        The block's span has the stage's name, or its own where the stage is only a part of it.
        """
        self.current, self._entered = stage, time.perf_counter()
        with spanned(self._tracer, span or stage.value):
            yield
        self.current = None

    def add(self, stage: Stage, seconds: float, *, began: float | None = None) -> None:
        """Note seconds that were measured elsewhere, such as on another thread.

        Where it is told when they began, by `time.perf_counter`, they are a span too.
        """
        self._metrics.studies.stage_seconds.labels(stage).observe(seconds, exemplar())
        if began is not None and get_current_span().is_recording():
            since_epoch_s = time.time() - time.perf_counter() + began
            span = self._tracer.start_span(stage.value, start_time=int(since_epoch_s * 1e9))
            span.end(int((since_epoch_s + seconds) * 1e9))
        before = self.timings[stage].milliseconds if stage in self.timings else 0.0
        self.timings[stage] = Timing(before + seconds * 1000, dt.datetime.now(dt.UTC))

    def milliseconds(self, stage: Stage) -> float:
        """Return the duration of the stage in milliseconds, to the microsecond."""
        return round(self.timings[stage].milliseconds, 3)

    def current_ms(self) -> float:
        """Return milliseconds since the current stage began."""
        return round((time.perf_counter() - self._entered) * 1000, 3)

    def total_ms(self) -> float:
        """Return milliseconds since the study came in."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    def log_fields(self) -> dict[str, float]:
        """Return milliseconds by stage and in all, as a log line carries them."""
        fields = {f"{stage}_ms": self.milliseconds(stage) for stage in self.timings}
        return {**fields, "total_ms": self.total_ms()}
