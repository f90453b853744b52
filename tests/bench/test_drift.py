"""The bench of drifts, on pools whose readings a test makes up: a slice of what it measures."""

import numpy as np
import pytest

from bench.drift import DRIFTS, Drift, Pool, false_alarms, reading_event, until_alarm


def pool(*, mean: float = 0.5, applicable: bool = True, seed: int = 1) -> Pool:
    """Forty readings without a finding, and forty with one."""
    generator = np.random.default_rng(seed)

    def readings(probability: float) -> list:
        return [
            reading_event(
                probability=probability,
                threshold=0.5,
                positive=probability >= 0.5 if applicable else None,
                applicable=applicable,
                mean=float(generator.normal(mean, 0.05)),
                deviation=0.2,
                entropy=0.8,
                saturation=0.01,
                border=0.3,
            )
            for _ in range(40)
        ]

    return Pool(readings(0.1), readings(0.9))


@pytest.mark.parametrize(
    ("drift", "other", "signal", "most"),
    [
        (Drift(), pool(mean=0.7, seed=2), "unusual/mean", 40),
        (Drift(0.1), pool(applicable=False), "not_applicable", 300),
        (DRIFTS["prevalence: 30 % to 50 %"], None, "positive/pneumonia", 600),
        (DRIFTS["new device: a quarter of the studies"], None, "device", 500),
    ],
)
def test_a_drift_is_noticed_by_its_signal(drift: Drift, other: Pool | None, signal: str, most: int):
    studies, signals = until_alarm(pool(), drift, other, seed=1)
    assert signal in signals.split(", ")
    assert studies <= most


def test_a_stream_without_a_drift_has_no_alarm():
    assert false_alarms(pool(), seed=1, studies=4000) == 0
