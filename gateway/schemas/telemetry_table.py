"""The columns of a table of all telemetry: those of the stages' events, then the readings' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.schemas import reading_event, telemetry

if TYPE_CHECKING:
    from typing import Any


def columns() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each column, without references and null."""
    found: dict[str, dict[str, Any]] = {}
    for schema in (telemetry.json_schema(), reading_event.json_schema()):
        for name, field in schema["properties"].items():
            found.setdefault(name, _plain(field, schema["$defs"]))
    return found


def _plain(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in field:
        (field,) = (each for each in field["anyOf"] if each != {"type": "null"})
    if "$ref" in field:
        resolved: dict[str, Any] = definitions[field["$ref"].rpartition("/")[2]]
        return resolved
    return field
