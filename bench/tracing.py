"""Cost of traces to a study: the spans of one request, without a collector.

    python -m bench.tracing

Prints microseconds of CPU for one study's request, ids, stages and observations: with tracing off,
with it off and a caller who keeps the trace (exemplars), and with spans recorded and dropped.
"""

from __future__ import annotations

import time
import timeit
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.observability.tracing import NO_TRACER, continued, spanned, trace_id, traceparent
from gateway.schemas.telemetry import Stage
from gateway.studies.stage_timer import Stages

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STUDIES, REPEATS = 500, 40


def study(metrics: Metrics, tracer: Tracer, header: str) -> None:
    """Everything that is said of a study on its way, and nothing of the way itself."""
    with spanned(tracer, "POST", context=continued(header), kind=SpanKind.SERVER):
        traceparent()
        with spanned(tracer, "validate"):
            pass
        with spanned(tracer, "study"):
            stages = Stages(metrics, tracer=tracer)
            with stages.time(Stage.ADMIT):
                pass
            with stages.within(Stage.DECODE, span="prepare"):
                stages.add(Stage.DECODE, 0.01, began=time.perf_counter())
                stages.add(Stage.TENSOR, 0.01, began=time.perf_counter())
            with stages.time(Stage.INFER):
                traceparent()
            with stages.time(Stage.STORE):
                trace_id()


def main() -> None:
    """Print the best of many rounds."""
    metrics = Metrics(CollectorRegistry())
    recording = TracerProvider(shutdown_on_exit=False).get_tracer("bench")
    for name, tracer, header in (
        ("off", NO_TRACER, ""),
        ("off, kept by the caller", NO_TRACER, SAMPLED),
        ("on", recording, ""),
    ):
        work = partial(study, metrics, tracer, header)
        rounds = timeit.repeat(work, timer=time.thread_time, number=STUDIES, repeat=REPEATS)
        print(f"{name:24} {min(rounds) / STUDIES * 1e6:6.0f} us")


if __name__ == "__main__":
    main()
