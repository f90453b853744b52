"""A model's health follows from its minutes: a reference first, then what differs from it."""

import datetime as dt

import numpy as np
import pytest

from gateway.monitoring.counts import ReadingCounts
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.health import advanced
from tests.support.monitoring import BEGIN, streamed, tallied

NEW = ModelHealth(model="m", version="1")


@pytest.fixture(scope="module")
def sound() -> ModelHealth:
    """After 2,000 readings, of which the first 1,000 are the reference."""
    return streamed(NEW, np.random.default_rng(1), 2000)


def test_the_first_readings_are_the_reference(sound: ModelHealth):
    assert sound.reference.readings == 1000
    assert sound.reference_since == BEGIN + dt.timedelta(minutes=1)
    assert sound.reference_until == BEGIN + dt.timedelta(minutes=100)
    assert sound.readings == 2000
    assert sound.window().readings == 500


def test_what_is_sound_has_signals_and_no_alarm(sound: ModelHealth):
    names = {"mean", "age_band", "device", "probability/pneumonia", "positive/pneumonia"}
    names |= {"not_applicable", "near/pneumonia", "unusual/mean"}
    assert names <= sound.signals.keys()
    assert sound.signals["mean"].low is not None
    assert sound.alarms() == {}


@pytest.mark.parametrize(
    ("changes", "signals"),
    [
        ({"mean": 0.58}, {"mean", "unusual/mean"}),
        ({"share": 0.6}, {"positive/pneumonia", "probability/pneumonia"}),
        ({"unlike": 0.2}, {"not_applicable"}),
        ({"ages": (0.8, 0.2)}, {"age_band"}),
        ({"devices": (0.4, 0.3, 0.3)}, {"device"}),
    ],
)
def test_a_drift_raises_the_alarm_that_names_it(
    sound: ModelHealth, changes: dict[str, object], signals: set[str]
):
    drifted = streamed(sound, np.random.default_rng(2), 750, **changes)
    assert drifted.alarms().keys() == signals
    for each in drifted.alarms().values():
        assert each.alarm_since is not None
        assert each.alarm_since > BEGIN + dt.timedelta(minutes=200)


def test_an_alarm_ends_when_all_is_as_before(sound: ModelHealth):
    generator = np.random.default_rng(3)
    drifted = streamed(sound, generator, 750, mean=0.58, share=0.6)
    assert drifted.alarms()
    assert streamed(drifted, generator, 1500).alarms() == {}


def test_an_alarm_keeps_its_beginning(sound: ModelHealth):
    generator = np.random.default_rng(3)
    once = streamed(sound, generator, 1000, mean=0.58)
    later = streamed(once, generator, 1000, mean=0.58)
    assert later.alarms()["mean"].alarm_since == once.alarms()["mean"].alarm_since


@pytest.mark.long
def test_streams_without_a_drift_raise_no_alarm():
    for seed in range(3):
        generator, health = np.random.default_rng(100 + seed), NEW
        for _ in range(10):
            health = streamed(health, generator, 500)
            assert health.alarms() == {}


def test_days_are_counted():
    readings = tallied({"positive": True}, {}, {"applicable": False, "positive": None})
    health = NEW
    for hours in (0, 1, 24):
        health = advanced(health, BEGIN + dt.timedelta(hours=hours), readings)
    first, second = health.days
    assert (first.day, first.readings, first.not_applicable) == ("2026-01-05", 6, 2)
    assert (first.positive, first.verdicts) == ({"pneumonia": 2}, {"pneumonia": 4})
    assert (second.day, second.readings) == ("2026-01-06", 3)


def test_a_minute_without_a_reading_changes_no_signal(sound: ModelHealth):
    minute = BEGIN + dt.timedelta(days=1)
    after = advanced(sound, minute, ReadingCounts())
    assert (after.signals, after.readings) == (sound.signals, sound.readings)
    assert after.merged_until == minute


def test_a_feature_that_is_hardly_known_has_no_signal(sound: ModelHealth):
    assert "size" in sound.signals
    rare = NEW
    for minute in range(400):
        counts = tallied(*({"rows": None} if number else {} for number in range(20)))
        rare = advanced(rare, BEGIN + dt.timedelta(minutes=minute), counts)
    assert "mean" in rare.signals
    assert "size" not in rare.signals
