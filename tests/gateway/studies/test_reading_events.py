"""Telemetry of readings: each finding with its picture, told once, without anybody's name."""

import json

import jsonschema
import pytest

from gateway.schemas.reading_event import ReadingEvent, json_schema
from tests.gateway.studies.piped import BLACK, WHITE, Parts
from tests.support.models import probability


async def test_a_reading_tells_its_finding_and_the_picture(parts: Parts):
    answer = await parts.read(
        WHITE, study_id="S-1", patient_age="004Y", timestamp="2026-01-31T08:15:00+02:00"
    )
    [event] = parts.told.readings
    assert event.probability == pytest.approx(probability(1.0), abs=1e-5)
    assert (event.label, event.threshold, event.positive) == ("bright", 0.5, True)
    assert (event.frame, event.finding, event.mode, event.applicable) == (1, 1, "live", True)
    assert (event.age_band, event.hour, event.sex, event.device) == ("1-5", 8, None, None)
    # All white but for the pixel that keeps it from being blank.
    assert (event.mean, event.saturation, event.border) == pytest.approx((1.0, 1.0, 1.0), abs=0.01)
    assert 0 < event.deviation < 0.1
    assert event.occurred_at == answer.readings[0].completed_at
    assert event.study_ref == parts.told.events[-1].study_ref
    jsonschema.validate(json.loads(event.model_dump_json(by_alias=True)), json_schema())


async def test_each_image_of_a_study_has_a_reference_of_its_own(parts: Parts):
    await parts.read(WHITE, BLACK)
    first, second = parts.told.readings
    assert first.study_ref == second.study_ref
    assert first.image_ref != second.image_ref
    assert first.event_id != second.event_id


async def test_a_reading_that_was_stored_before_is_not_told_again(parts: Parts):
    for _ in range(2):
        await parts.read(WHITE, study_id="S-1")
    assert len(parts.told.readings) == 1


async def test_readings_of_probes_are_not_told_and_those_of_acceptances_counted_apart(
    parts: Parts,
):
    run = "0123456789abcdef"
    for name in ("00", "accept-00", f"accept-{run}-{run}"):
        await parts.read(WHITE, study_id=f"radstream-probe-{name}")
    assert parts.told.readings == []
    [(event, counted)] = parts.told.of_runs
    assert counted == run
    assert isinstance(event, ReadingEvent)
    assert (event.label, event.positive) == ("bright", True)


async def test_telemetry_that_fails_ends_no_study(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(parts.told, "_emit", refuse)
    assert (await parts.read(WHITE)).result.images
