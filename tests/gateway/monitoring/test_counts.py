"""Counts of readings add up in any order, and hold nothing that names anybody."""

import random

from gateway.monitoring.counts import FindingCounts, ReadingCounts, Tally, merged
from tests.support.monitoring import tallied
from tests.support.telemetry import reading_event


def test_a_picture_counts_once_and_each_finding_of_its_own():
    counts = tallied(
        {"probability": 0.45},
        {"finding": 2, "label": "effusion", "probability": 0.99, "positive": True},
    )
    assert counts.readings == 1
    assert counts.features["mean"] == {"32": 1}
    assert counts.findings == {
        "pneumonia": FindingCounts(verdicts=1, positive=0, near=1, probability={"22": 1}),
        "effusion": FindingCounts(verdicts=1, positive=1, near=0, probability={"49": 1}),
    }


def test_a_reading_that_is_not_applicable_has_no_verdict():
    counts = tallied({"applicable": False, "positive": None}, {})
    assert (counts.readings, counts.not_applicable) == (2, 1)
    assert counts.findings["pneumonia"].verdicts == 1


def test_counts_add_up_whatever_gateway_and_order_they_are_of():
    readings = [{"mean": level / 50, "positive": level > 30} for level in range(50)]
    parts = [tallied(*readings[start : start + 7]) for start in range(0, 50, 7)]
    random.Random(7).shuffle(parts)  # noqa: S311 - seeded
    assert merged(parts) == merged([tallied(*readings)])
    assert merged(parts).readings == 50
    assert merged([]) == ReadingCounts()


def test_counts_hold_no_reference_to_a_study_an_image_or_a_device():
    event = reading_event(device="abcdef01" * 4, caller="ward 7", trace_id="f" * 32)
    tally = Tally()
    tally.count(event)
    text = tally.counts().model_dump_json()
    for name in ("study_ref", "image_ref", "device", "caller", "trace_id", "event_id"):
        assert f'"{getattr(event, name)}"' not in text
