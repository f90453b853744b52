"""Traces: the one source of the trace id in logs, telemetry, exemplars and spans.

The id is that of OpenTelemetry's current span, whether spans are recorded or not. A tracer is
passed in; OpenTelemetry's no-op tracer records nothing and hands on what it was given.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    SpanKind,
    StatusCode,
    format_trace_id,
    get_current_span,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span, Tracer

__all__ = ["NO_TRACER", "continued", "exemplar", "failed", "spanned", "trace_id", "traceparent"]

NO_TRACER: Tracer = NoOpTracer()
_W3C = TraceContextTextMapPropagator()


def continued(header: str) -> Context:
    """Return the context that a `traceparent` names (W3C Trace Context, 3.2); else an empty one.

    `tracestate` is left out: it is a sender's free text, and spans are to hold none.
    """
    return _W3C.extract({"traceparent": header}, Context())


@contextmanager
def spanned(
    tracer: Tracer,
    name: str,
    *,
    context: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """Yield the span of the block, a child of the current one or the context's, else a root.

    An error is noted by its type alone: its message may quote what it stumbled over.
    """
    if tracer is NO_TRACER and context is None and get_current_span().get_span_context().is_valid:
        yield get_current_span()  # nothing to record, and nothing to begin
        return
    span = tracer.start_span(name, context, kind)
    if not span.get_span_context().is_valid:  # nothing to continue, and nothing is recorded
        span = NonRecordingSpan(_fresh())
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__name__)
            raise


def failed(span: Span, error_type: str) -> None:
    """Mark the span as one that failed, for a reason of a fixed set."""
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", error_type)


def trace_id() -> str | None:
    """Return 32 hexadecimal digits; None where no trace was begun."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def traceparent() -> str | None:
    """Return the header that lets others continue the current trace."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def exemplar() -> dict[str, str] | None:
    """Return the label of an exemplar: the trace's id where the trace is kept."""
    context = get_current_span().get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": format_trace_id(context.trace_id)}


def _fresh() -> SpanContext:
    return SpanContext(secrets.randbits(128), secrets.randbits(64), is_remote=False)
