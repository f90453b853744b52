"""One trace id for everything, continued or begun, and spans that hold no words of an error."""

import re

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from gateway.observability.tracing import (
    NO_TRACER,
    continued,
    exemplar,
    spanned,
    trace_id,
    traceparent,
)

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def recorded() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(recorded: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(recorded))
    return provider.get_tracer("test")


def test_outside_of_a_span_there_is_no_trace():
    assert (trace_id(), traceparent(), exemplar()) == (None, None, None)


def test_without_a_caller_a_trace_begins_and_nobody_keeps_it():
    with spanned(NO_TRACER, "outer", context=Context()):
        begun = trace_id()
        assert begun is not None
        assert re.fullmatch("[0-9a-f]{32}", begun)
        with spanned(NO_TRACER, "inner"):
            assert trace_id() == begun
        assert exemplar() is None
    with spanned(NO_TRACER, "another"):
        assert trace_id() != begun


def test_a_callers_trace_goes_on_as_it_came_where_nothing_is_recorded():
    with spanned(NO_TRACER, "outer", context=continued(SAMPLED)):
        assert (trace_id(), traceparent()) == (TRACE, SAMPLED)
        assert exemplar() == {"trace_id": TRACE}


def test_a_trace_that_its_caller_does_not_keep_has_no_exemplar():
    with spanned(NO_TRACER, "outer", context=continued(f"00-{TRACE}-{PARENT}-00")):
        assert trace_id() == TRACE
        assert exemplar() is None


def test_recorded_spans_nest_below_the_callers(tracer: Tracer, recorded: InMemorySpanExporter):
    with spanned(tracer, "outer", context=continued(SAMPLED)), spanned(tracer, "inner"):
        assert trace_id() == TRACE
        assert exemplar() == {"trace_id": TRACE}
        handed_on = traceparent()
    inner, outer = recorded.get_finished_spans()
    assert outer.parent is not None
    assert inner.parent is not None
    assert f"{outer.parent.span_id:016x}" == PARENT
    assert inner.parent.span_id == outer.context.span_id
    assert handed_on == f"00-{TRACE}-{inner.context.span_id:016x}-01"


def test_an_error_is_noted_by_its_type_alone(tracer: Tracer, recorded: InMemorySpanExporter):
    with pytest.raises(ValueError, match="Mustermann"), spanned(tracer, "work"):
        raise ValueError("Mustermann^Erika")
    [span] = recorded.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert "Mustermann" not in span.to_json()
