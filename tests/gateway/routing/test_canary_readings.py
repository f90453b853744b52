"""Limits of canaries, held to the latest readings of all gateways."""

from typing import Any

from gateway.routing.canary_readings import (
    CanaryReading,
    CanaryReadings,
    VerdictPair,
    breach,
)
from gateway.schemas.routing_rules import RollBack

SOUND = CanaryReading(infer_ms=10.0)


def limits(**values: Any) -> RollBack:
    return RollBack.model_validate({"readings": 10} | values)


def readings(*several: CanaryReading) -> CanaryReadings:
    return CanaryReadings(readings=several)


def test_failures_count_once_there_are_enough_readings():
    failed = CanaryReading(failed=True)
    assert breach(limits(failed_percent=20), readings(*[failed] * 3, *[SOUND] * 6)) is None
    found = readings(*[failed] * 3, *[SOUND] * 7)
    assert breach(limits(failed_percent=20), found) == "30.0 percent of 10 readings failed"
    assert breach(limits(failed_percent=30), found) is None


def test_a_canary_that_is_not_applicable_or_slow_is_told():
    unfit = CanaryReading(not_applicable=True, infer_ms=10.0)
    found = readings(*[SOUND] * 8, *[unfit] * 2)
    told = breach(limits(not_applicable_percent=10), found)
    assert told == "not applicable to 20.0 percent of 10 images"
    found = readings(*[SOUND] * 9, CanaryReading(infer_ms=51.0))
    assert breach(limits(infer_ms=50), found) == (
        "inference took 51.0 ms, the 95th percentile of 10"
    )


def test_few_positive_findings_say_nothing_of_agreement():
    pairs = [VerdictPair(shown=number % 10 == 0, shadow=False) for number in range(10)]
    assert breach(limits(kappa=0.6), CanaryReadings(pairs={"pneumonia": tuple(pairs)})) is None


def test_the_latest_count_alone():
    later = CanaryReadings(
        readings=(SOUND,) * 3, pairs={"mass": (VerdictPair(shown=True, shadow=True),)}
    )
    before = CanaryReadings(readings=(CanaryReading(failed=True),) * 3)
    found = before.with_later(later, 4)
    assert [each.failed for each in found.readings] == [True, False, False, False]
    assert found.pairs == later.pairs


def test_they_are_read_as_they_were_written():
    found = CanaryReadings(
        readings=(SOUND, CanaryReading(failed=True)),
        pairs={"mass": (VerdictPair(shown=True, shadow=False),)},
    )
    form = found.model_dump_json(by_alias=True)
    assert CanaryReadings.model_validate_json(form) == found
    assert "[[false,false,10.0],[true,false,0.0]]" in form
