"""Documents of a model's health, as gateways of other versions find them."""

import datetime as dt

from gateway.monitoring.documents import ModelHealth, Signal
from gateway.monitoring.health import advanced
from gateway.storage.documents import read_document, stored_form
from tests.support.monitoring import BEGIN, tallied

QUIET = Signal(value=0.1, limit=0.2, n=500)
LOUD = Signal(value=0.5, low=0.3, high=0.6, limit=0.2, n=500, alarm_since=BEGIN)


def test_alarms_are_the_signals_that_have_begun_one():
    health = ModelHealth(model="m", version="1", signals={"mean": LOUD, "view": QUIET})
    assert health.alarms() == {"mean": LOUD}


def test_a_window_is_the_sum_of_its_blocks():
    blocks = (tallied({}, {}), tallied({}))
    assert ModelHealth(model="m", version="1", blocks=blocks).window().readings == 3


def test_an_acceptance_run_becomes_the_reference_and_grows_by_its_later_minutes():
    health = ModelHealth(model="m", version="1", signals={"mean": LOUD}, readings=500)
    later = BEGIN + dt.timedelta(minutes=1)
    health = health.counted("a", later, tallied({}, {}))
    run = health.acceptance("a")
    assert run is not None
    assert health.reference.readings == 0
    referred = health.referred_to(run).counted("a", BEGIN, tallied({}))
    assert (referred.reference.readings, referred.reference_source) == (3, "acceptance")
    assert (referred.reference_since, referred.reference_until) == (BEGIN, later)
    assert (referred.signals, referred.readings) == ({}, 500)
    assert referred.counted("b", later, tallied({})).reference.readings == 3
    renewed = referred.renewed()
    assert (renewed.reference.readings, renewed.reference_source) == (0, "first readings")


def test_the_latest_acceptance_runs_are_kept():
    health = ModelHealth(model="m", version="1")
    for run in "abcade":
        health = health.counted(run, BEGIN, tallied({}))
    assert [each.run for each in health.runs] == ["c", "a", "d", "e"]


def test_what_is_stored_is_read_again():
    health = advanced(ModelHealth(model="m", version="1"), BEGIN, tallied({}))
    health = health.model_copy(update={"signals": {"mean": LOUD}})
    assert read_document(ModelHealth, "monitoring/models/m/1.json", stored_form(health)) == health
