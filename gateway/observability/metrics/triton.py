"""Metrics of Triton as the gateway sees it; Triton's own metrics stand beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from gateway.errors import (
    BackendDiedError,
    ContractError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
)

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# What a call can fail with. Each count is 0 from the start: for Prometheus one that begins at 1 has
# not risen.
_ERRORS = (
    InferenceUnavailableError,
    BackendDiedError,
    InferenceOverloadedError,
    InferenceFailedError,
    DeadlineExceededError,
    ContractError,
)


class TritonMetrics:
    """Calls that failed, models that answer, and deaths of the embedded server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.errors = Counter(
            "radstream_inference_errors_total",
            "Calls to Triton that failed, by kind of error.",
            ["error"],
            registry=registry,
        )
        for error in _ERRORS:
            self.errors.labels(error.label)
        self.model_ready = Gauge(
            "radstream_model_ready",
            "1 where the model's contract and golden image passed and it answers, else 0.",
            ["model", "version"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.circuit_open = Gauge(
            "radstream_triton_circuit_open",
            "1 while studies are refused at once because Triton does not answer, else 0.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.reloads = Counter(
            "radstream_model_reloads_total",
            "Reloads of a model that did not answer, by outcome.",
            ["model", "outcome"],
            registry=registry,
        )
        self.restarts_asked = Counter(
            "radstream_triton_restarts_asked_total",
            "Restarts of Triton requested because no model answered.",
            registry=registry,
        )
        self.restarts = Counter(
            "radstream_triton_restarts_total",
            "Restarts of the embedded Triton after it died.",
            registry=registry,
        )
