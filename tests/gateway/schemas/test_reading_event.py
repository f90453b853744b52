"""The event of a reading takes no sender's words, and is published as it is."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.reading_event import AgeBand, json_schema, label_name
from gateway.schemas.telemetry_table import columns
from tests.support.telemetry import reading_event

PUBLISHED = Path(__file__).parents[3] / "docs/schemas/telemetry-2.json"
MARK = "MUSTERMANN^ERIKA"


def properties() -> dict[str, Any]:
    return dict(json_schema()["properties"])


def test_the_published_schema_is_the_models():
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "write json.dumps(gateway.schemas.reading_event.json_schema(), indent=2) to it"
    )


@pytest.mark.parametrize("name", properties())
def test_no_field_takes_free_text_or_a_number_without_bounds(name: str):
    schema = columns()[name]
    if schema["type"] == "string":
        assert schema.keys() & {"enum", "const", "pattern"} or schema["format"] == "date-time"
    elif schema["type"] != "boolean":
        assert schema["type"] in {"integer", "number"}
        assert {"minimum", "maximum"} <= schema.keys()


@pytest.mark.parametrize("name", sorted(set(properties()) - {"modality", "body_part"}))
def test_every_field_refuses_a_name(name: str):
    with pytest.raises(ValidationError):
        reading_event(**{name: MARK})


def test_a_record_has_every_field():
    record = json.loads(reading_event().model_dump_json(by_alias=True))
    assert list(record) == list(properties())
    assert record["schema"] == "radstream.telemetry/2"


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("011M", "0"),
        ("001Y", "1-5"),
        ("005Y", "1-5"),
        ("006Y", "6-17"),
        ("018Y", "18-39"),
        ("040Y", "40-64"),
        ("079Y", "65-79"),
        ("080Y", "80+"),
        ("104Y", "80+"),
    ],
)
def test_an_age_is_told_as_a_band(age: str, band: str):
    assert AgeBand.of(age) == band


def test_a_label_is_told_in_plain_characters():
    assert label_name("Pneumothorax, left (>2 cm)") == "Pneumothorax, left (_2 cm)"
