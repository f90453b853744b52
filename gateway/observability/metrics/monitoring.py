"""Metrics of the monitoring of models in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MODEL = ("model", "version")


class MonitoringMetrics:
    """Drift of what models are sent and say, in the whole store at the last sweep."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.signal = Gauge(
            "radstream_model_signal",
            "Drift of a model version as a share of its limit, by signal: 1 and more is an alarm.",
            [*_MODEL, "signal"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.alarm = Gauge(
            "radstream_model_drift_alarm",
            "1 while a signal of a model version is in alarm, 0 while it is not.",
            [*_MODEL, "signal"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.readings = Gauge(
            "radstream_monitored_readings",
            "Readings of a model version that its monitoring has merged.",
            _MODEL,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.reference_whole = Gauge(
            "radstream_model_reference_whole",
            "1 once the reference window of a model version is whole, 0 before.",
            _MODEL,
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.silent = Gauge(
            "radstream_model_silent",
            "1 while a model version is silent by a stop rule, 0 while it is not.",
            _MODEL,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.broken_rule = Gauge(
            "radstream_stop_rule_broken",
            "1 while the health of a model version is beyond a stop rule, 0 while it is not.",
            [*_MODEL, "rule"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.dropped = Counter(
            "radstream_monitoring_dropped_readings_total",
            "Readings that monitoring does not count: the store did not take their minutes "
            "(store), or they came after later minutes had been merged (late).",
            ["reason"],
            registry=registry,
        )
        for reason in ("store", "late"):
            self.dropped.labels(reason)
