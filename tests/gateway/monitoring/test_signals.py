"""Signals name what has changed, and say nothing where too little is known."""

import datetime as dt

from gateway.monitoring.counts import merged
from gateway.monitoring.cusum import LIMIT, Evidence
from gateway.monitoring.documents import ModelHealth, Signal
from gateway.monitoring.signals import distance_signals, evidence_after, share_signals
from tests.support.monitoring import BEGIN, tallied

# Greys from 0.40 to 0.59, a hundred each of the one finding and the other.
REFERENCE = merged(
    tallied(*({"mean": 0.4 + step / 100, "positive": step % 2 == 0} for step in range(20)))
    for _ in range(10)
)
HEALTH = ModelHealth(model="m", version="1", reference=REFERENCE)
LATER = BEGIN + dt.timedelta(hours=1)


def test_a_reading_outside_of_what_the_reference_had_is_unusual():
    sound, bright = tallied({"mean": 0.41}), tallied({"mean": 0.9})
    before = {name: 0.0 for name, _ in evidence_after(HEALTH, sound)}
    rises = {name: each.rise for name, each in evidence_after(HEALTH, bright)}
    assert {name for name, rise in rises.items() if rise > before[name]} == {"unusual/mean"}


def test_shares_of_labels_and_of_what_is_not_applicable_are_watched():
    counts = tallied(*({"positive": None, "applicable": False} for _ in range(30)))
    evidence = dict(evidence_after(HEALTH, counts))
    assert evidence["not_applicable"].rise == LIMIT
    assert evidence["positive/pneumonia"] == Evidence()  # no verdict, no evidence


def test_findings_near_the_threshold_are_a_share_of_their_own():
    sound = tallied(*({"probability": 0.35, "positive": step < 15} for step in range(30)))
    near = tallied(*({"probability": 0.45, "positive": step < 15} for step in range(30)))
    assert dict(evidence_after(HEALTH, sound))["near/pneumonia"] == Evidence()
    rises = {name for name, each in evidence_after(HEALTH, near) if each.rise == LIMIT}
    assert rises == {"near/pneumonia"}


def test_an_alarm_of_a_share_lasts_until_its_evidence_is_gone():
    health, steps = HEALTH, []
    for rise in (LIMIT, 3.0, 0.0, 3.0):
        signals = share_signals(health, {"not_applicable": Evidence(rise=rise)}, LATER, n=7)
        health = health.model_copy(update={"signals": signals})
        steps.append(signals["not_applicable"].alarm_since)
    assert steps == [LATER, LATER, None, None]


def test_a_fall_is_as_much_an_alarm_as_a_rise():
    [signal] = share_signals(HEALTH, {"positive/p": Evidence(fall=LIMIT)}, LATER, n=7).values()
    assert signal == Signal(value=LIMIT, limit=LIMIT, n=7, alarm_since=LATER)


def test_a_distance_is_of_a_feature_that_is_known_often_enough():
    window = merged(tallied(*({"mean": 0.9} for _ in range(10))) for _ in range(11))
    signals = distance_signals(HEALTH, window, LATER)
    assert signals["mean"].alarm_since == LATER
    assert signals["mean"].n == 110
    assert signals["view"].alarm_since is None  # unknown then and now
    assert "exposure_index" not in signals
    assert distance_signals(HEALTH, tallied({"mean": 0.9}), LATER) == {}
