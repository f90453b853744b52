"""Streams of readings for the monitoring of models, drawn from distributions that a test knows."""

import datetime as dt
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from gateway.audit.trail import Audit
from gateway.monitoring.counts import ReadingCounts, Tally
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.health import advanced
from gateway.monitoring.silences import Silences
from gateway.observability.metrics import Metrics
from gateway.observability.metrics.monitoring import MonitoringMetrics
from gateway.schemas.stop_rules import StopRule
from gateway.storage.protocol import ObjectStore
from tests.support.audit import Trail
from tests.support.telemetry import reading_event

BEGIN = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
A_MINUTE = 10
SOUND: dict[str, Any] = {
    "mean": 0.5,
    "share": 0.3,
    "unlike": 0.01,
    "ages": (0.2, 0.8),
    "devices": (0.6, 0.4, 0.0),
}
_AGES = ("1-5", "6-17")
_DEVICES = tuple(f"{number:032x}" for number in (1 << 96, 2 << 96, 3 << 96))


def silences_on(
    objects: ObjectStore,
    *rules: dict[str, Any],
    trail: Trail | None = None,
    shown: MonitoringMetrics | None = None,
) -> Silences:
    """The silences of a store, with these stop rules."""
    metrics = Metrics(CollectorRegistry())
    return Silences(
        objects,
        lambda: [StopRule.model_validate(rule) for rule in rules],
        audit=Audit(trail or Trail(), metrics, instance="here"),
        metrics=shown or metrics.monitoring,
    )


def tallied(*changes: dict[str, Any]) -> ReadingCounts:
    """Counts of so many readings, each with changes of its own."""
    tally = Tally()
    for each in changes:
        tally.count(reading_event(**each))
    return tally.counts()


def minute_of_readings(generator: np.random.Generator, **changes: Any) -> ReadingCounts:
    """Counts of a minute; changes are of the distributions that are sound."""
    facts = SOUND | changes
    readings = []
    for _ in range(A_MINUTE):
        is_found = generator.random() < facts["share"]
        probability = float(generator.beta(8, 2) if is_found else generator.beta(2, 8))
        applicable = generator.random() >= facts["unlike"]
        readings.append(
            {
                "probability": probability,
                "positive": probability >= 0.5 if applicable else None,
                "applicable": applicable,
                "mean": float(np.clip(generator.normal(facts["mean"], 0.06), 0, 1)),
                "deviation": float(np.clip(generator.normal(0.2, 0.02), 0, 0.5)),
                "entropy": float(np.clip(generator.normal(0.85, 0.03), 0, 1)),
                "age_band": _AGES[generator.choice(2, p=facts["ages"])],
                "device": _DEVICES[generator.choice(3, p=facts["devices"])],
                "sex": "FM"[generator.integers(2)],
                "hour": int(generator.integers(24)),
                "exposure_index": float(generator.lognormal(5.5, 0.4)),
            }
        )
    return tallied(*readings)


def streamed(
    health: ModelHealth, generator: np.random.Generator, readings: int, **changes: Any
) -> ModelHealth:
    """The health after so many more readings."""
    for _ in range(readings // A_MINUTE):
        at = BEGIN if health.merged_until is None else health.merged_until
        minute = at + dt.timedelta(minutes=1)
        health = advanced(health, minute, minute_of_readings(generator, **changes))
    return health
