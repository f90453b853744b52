"""Documents of a model's health, as gateways of other versions find them."""

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


def test_what_is_stored_is_read_again():
    health = advanced(ModelHealth(model="m", version="1"), BEGIN, tallied({}))
    health = health.model_copy(update={"signals": {"mean": LOUD}})
    assert read_document(ModelHealth, "monitoring/models/m/1.json", stored_form(health)) == health
