"""Times of a study's stages add up, and a failure is the stage's that it came in."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.schemas.telemetry import Stage
from gateway.studies.stage_timer import Stages


def stages(validate_s: float = 0.0) -> tuple[Stages, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return Stages(metrics, validate_s=validate_s), metrics


def test_a_stage_that_is_entered_twice_adds_up():
    timed, metrics = stages(validate_s=0.25)
    timed.add(Stage.DECODE, 0.5)
    timed.add(Stage.DECODE, 0.125)
    assert timed.milliseconds(Stage.VALIDATE) == 250
    assert timed.milliseconds(Stage.DECODE) == 625
    fields = timed.log_fields()
    assert list(fields) == ["validate_ms", "decode_ms", "total_ms"]
    assert fields["total_ms"] >= 250
    count = metrics.registry.get_sample_value("radstream_stage_seconds_count", {"stage": "decode"})
    assert count == 2


def test_what_fails_leaves_its_stage_and_its_time():
    timed, _ = stages()
    with pytest.raises(ValueError, match="broken"), timed.time(Stage.INFER):
        raise ValueError("broken")
    assert timed.current is Stage.INFER
    assert Stage.INFER in timed.timings


def test_between_stages_none_is_responsible():
    timed, _ = stages()
    with timed.within(Stage.ADMIT):
        assert timed.current is Stage.ADMIT
    assert timed.current is None
    assert Stage.ADMIT not in timed.timings
