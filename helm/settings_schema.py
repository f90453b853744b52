"""Writes the settings into the chart's schema: `python helm/settings_schema.py` (`make schema`).

`values.schema.json` is written by hand but for two definitions, which follow from
`gateway.settings`: what may stand under `settings` and what under `secretSettings`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from gateway.settings import Settings

SCHEMA = Path(__file__).with_name("radstream") / "values.schema.json"

# What the pod decides: Triton is beside the gateway, and probes and policies know the ports.
_OF_THE_POD = {
    ("http", "host"),
    ("http", "port"),
    ("dimse", "listen"),
    ("dimse", "host"),
    ("dimse", "port"),
    ("routing", "file"),
    ("triton", "url"),
    ("triton", "restart_flag"),
    ("triton", "model_repository"),
}
# Said by the gateway's documentation, or by the chart's own values.
_LEFT_OUT = {"title", "default", "format", "writeOnly"}


def definitions() -> dict[str, Any]:
    """The two definitions, as JSON Schema (draft 7), strict in names, types and ranges."""
    plain: dict[str, Any] = {}
    secret: dict[str, Any] = {}
    for group_name, field in Settings.model_fields.items():
        group = field.annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            raise TypeError(f"{group_name} is not a group of settings")
        schema = group.model_json_schema()
        secrets = {name for name, each in group.model_fields.items() if _is_secret(each.annotation)}
        members = {
            name: _cleaned(member, schema.get("$defs", {}))
            for name, member in schema["properties"].items()
            if name not in secrets and (group_name, name) not in _OF_THE_POD
        }
        plain[group_name] = _object(members, (group.__doc__ or "").strip())
        if secrets:
            key = {"$ref": "#/definitions/secretKey"}
            secret[group_name] = _object(dict.fromkeys(sorted(secrets), key))
    return {"settings": _object(plain), "secretSettings": _object(secret)}


def written() -> str:
    """The schema's whole text with the definitions as they are now."""
    schema = json.loads(SCHEMA.read_text())
    schema["definitions"] |= definitions()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _is_secret(annotation: Any) -> bool:
    return SecretStr in (annotation, *getattr(annotation, "__args__", ()))


def _object(members: dict[str, Any], description: str = "") -> dict[str, Any]:
    said = {"description": description} if description else {}
    return {"type": "object", **said, "additionalProperties": False, "properties": members}


def _cleaned(schema: Any, defined: dict[str, Any]) -> Any:
    """The schema without pydantic's remarks, and with what it refers to in its place."""
    if isinstance(schema, list):
        return [_cleaned(each, defined) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _cleaned(defined[schema["$ref"].rpartition("/")[2]], defined)
    return {key: _cleaned(value, defined) for key, value in schema.items() if key not in _LEFT_OUT}


if __name__ == "__main__":
    SCHEMA.write_text(written())
