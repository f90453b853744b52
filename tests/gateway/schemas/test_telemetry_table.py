"""The table of all telemetry has each field of each event once."""

from gateway.schemas import reading_event, telemetry
from gateway.schemas.telemetry_table import columns


def test_the_columns_are_those_of_stages_and_then_the_readings_own():
    stages = list(telemetry.json_schema()["properties"])
    readings = list(reading_event.json_schema()["properties"])
    assert list(columns()) == stages + [name for name in readings if name not in stages]


def test_a_field_that_both_events_have_is_of_one_type():
    for name in ("rows", "view", "modality", "caller", "study_ref"):
        field = reading_event.json_schema()["properties"][name]
        assert columns()[name]["type"] in {"string", "integer"}, field


def test_a_column_has_neither_a_reference_nor_null():
    for field in columns().values():
        assert "type" in field
        assert field["type"] != "null"
