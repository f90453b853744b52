"""The telemetry event takes no sender's words, and is published as it is."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from gateway.schemas.telemetry import BODY_PARTS, Modality, Stage, TelemetryEvent, json_schema

PUBLISHED = Path(__file__).parents[3] / "docs/schemas/telemetry-1.json"
MARK = "MUSTERMANN^ERIKA"
MOMENT = dt.datetime(2026, 1, 31, 9, 15, tzinfo=dt.timezone(dt.timedelta(hours=1)))


def event(**changes: Any) -> TelemetryEvent:
    fields = {
        "occurred_at": MOMENT,
        "study_ref": "0123456789abcdef" * 2,
        "stage": "infer",
        "status": "success",
        "latency_ms": 12.5,
        "route": "rest",
        "gateway_version": "0.1.0",
        "instance": "radstream-7d9f",
    }
    return TelemetryEvent(**fields | changes)


def properties() -> dict[str, Any]:
    return dict(json_schema()["properties"])


def resolved(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a property, references followed, null left out."""
    if "$ref" in schema:
        return [json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]]
    if "anyOf" in schema:
        return [found for part in schema["anyOf"] for found in resolved(part)]
    return [] if schema == {"type": "null"} else [schema]


def test_the_published_schema_is_the_models():
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "write json.dumps(gateway.schemas.telemetry.json_schema(), indent=2) to it"
    )


def test_the_fields_are_those_of_the_contract():
    assert list(properties()) == [
        *("event_id", "schema", "occurred_at", "study_ref", "stage", "status", "latency_ms"),
        *("error_code", "modality", "body_part", "view", "model", "model_version"),
        *("images", "not_processed", "image_bytes", "rows", "columns", "route"),
        *("gateway_version", "instance", "trace_id", "caller"),
    ]


@pytest.mark.parametrize("name", properties())
def test_no_field_takes_free_text_or_a_number_without_bounds(name: str):
    for schema in resolved(properties()[name]):
        if schema["type"] == "string":
            assert schema.keys() & {"enum", "const", "pattern"} or schema["format"] == "date-time"
        else:
            assert schema["type"] in {"integer", "number"}
            assert {"minimum", "maximum"} <= schema.keys()


@pytest.mark.parametrize("name", sorted(set(properties()) - {"modality", "body_part"}))
def test_every_field_refuses_a_name(name: str):
    with pytest.raises(ValidationError):
        event(**{name: MARK})


def test_there_is_no_field_beside_these():
    with pytest.raises(ValidationError):
        event(patient_name="Erika")


@pytest.mark.parametrize(
    ("sent", "told"),
    [("CHEST", "CHEST"), ("C SPINE", "CSPINE"), ("ERIKA MUSTERMANN", "OTHER"), ("", "OTHER")],
)
def test_a_body_part_is_a_defined_term_or_other(sent: str, told: str):
    assert event(body_part=sent).body_part == told


@pytest.mark.parametrize(("sent", "told"), [("DX", "DX"), ("ERIKA", "OT"), ("OT", "OT")])
def test_a_modality_is_a_defined_term_or_ot(sent: str, told: str):
    assert event(modality=sent).modality == Modality(told)


@pytest.mark.parametrize("latency_ms", [-1.0, float("nan"), float("inf"), 1e9])
def test_a_time_that_is_none_is_refused(latency_ms: float):
    with pytest.raises(ValidationError):
        event(latency_ms=latency_ms)


def test_a_record_has_every_field_and_fits_the_schema():
    record = json.loads(event(body_part="HAND").model_dump_json(by_alias=True))
    jsonschema.Draft202012Validator(json_schema()).validate(record)
    assert list(record) == list(properties())
    assert record["schema"] == "radstream.telemetry/1"
    assert record["error_code"] is None
    assert record["occurred_at"] == "2026-01-31T08:15:00Z"  # in UTC, whatever zone it came in


def test_an_event_does_not_change_and_no_two_are_the_same():
    first, second = event(), event()
    assert first.event_id != second.event_id
    with pytest.raises(ValidationError):
        first.stage = Stage.STORE  # type: ignore[misc]


def test_terms_are_code_strings():
    assert all(len(term) <= 16 and term.isalpha() and term.isupper() for term in BODY_PARTS)
