"""A record has all that a FHIR R4 AuditEvent needs, by the mapping in docs/security.md."""

import datetime as dt
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from gateway.schemas.audit import AuditAction, AuditAgent, AuditOutcome, AuditRecord

# What R4 demands of an AuditEvent (hl7.org/fhir/R4/auditevent.html): the elements of cardinality
# 1 and their closest codes.
_CODING = {
    "type": "object",
    "required": ["system", "code"],
    "properties": {"system": {"type": "string", "format": "uri"}, "code": {"type": "string"}},
}
AUDIT_EVENT = {
    "type": "object",
    "required": ["resourceType", "type", "recorded", "agent", "source"],
    "properties": {
        "resourceType": {"const": "AuditEvent"},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
        "type": _CODING,
        "subtype": {"type": "array"},
        "action": {"enum": ["C", "R", "U", "D", "E"]},
        "recorded": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        },
        "outcome": {"enum": ["0", "4", "8", "12"]},
        "outcomeDesc": {"type": "string", "minLength": 1},
        "agent": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["requestor"],
                "properties": {
                    "requestor": {"type": "boolean"},
                    "name": {"type": "string", "minLength": 1},
                    "network": {
                        "type": "object",
                        "properties": {"type": {"enum": ["1", "2", "3", "4", "5"]}},
                    },
                },
                "additionalProperties": False,
                "patternProperties": {"^type$": {"type": "object"}},
            },
        },
        "source": {"type": "object", "required": ["observer"]},
        "entity": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": _CODING, "role": _CODING, "what": {"type": "object"}},
                "additionalProperties": False,
                "patternProperties": {"^detail$": {"type": "array", "minItems": 1}},
            },
        },
    },
    "additionalProperties": False,
}


def audit_event(record: dict[str, Any]) -> dict[str, Any]:
    """The AuditEvent that a record is."""
    serious = record.get("status", 0) >= 500
    agent = record.get("agent", {"kind": "unknown", "name": "unknown"})
    details = [
        {"type": name, "valueString": str(record[name])}
        for name in ("image", "request_id", "trace_id", "disclosed")
        if name in record
    ]
    network = {"address": record["address"], "type": "2"} if "address" in record else None
    return {
        "resourceType": "AuditEvent",
        "id": record["id"],
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
        },
        "subtype": [{"display": record["operation"]}],
        "action": record["action"],
        "recorded": record["recorded_at"],
        "outcome": "0" if record["outcome"] == "success" else "8" if serious else "4",
        "outcomeDesc": f"{record['outcome']}: {record.get('status', 'no request')}",
        "agent": [
            {"requestor": True, "type": {"text": agent["kind"]}, "name": agent["name"]}
            | ({"network": network} if network else {})
        ],
        "source": {"observer": {"display": record["instance"]}},
        "entity": [
            {
                "what": {"identifier": {"value": study}},
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "2",
                },
                "role": {
                    "system": "http://terminology.hl7.org/CodeSystem/object-role",
                    "code": "3",
                },
            }
            | ({"detail": details} if details else {})
            for study in record["studies"]
        ],
    }


FULL = AuditRecord(
    id=uuid4(),
    recorded_at=dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC),
    operation="GET /v1/studies/{study_id}",
    action=AuditAction.READ,
    outcome=AuditOutcome.SUCCESS,
    status=200,
    agent=AuditAgent(kind="token", name="viewer-7"),
    address="192.0.2.7",
    studies=("S-1", "S-2"),
    image=1,
    request_id="r-1",
    trace_id="5759e988bd862e3fe1be46a994272793",
    instance="gateway-0",
)
BARE = AuditRecord(
    id=uuid4(),
    recorded_at=dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC),
    operation="drop folder: deliver",
    action=AuditAction.EXECUTE,
    outcome=AuditOutcome.FAILED,
    instance="gateway-0",
)


@pytest.mark.parametrize("record", [FULL, BARE])
def test_a_record_becomes_an_audit_event(record: AuditRecord):
    event = audit_event(record.model_dump(mode="json", by_alias=True, exclude_none=True))
    jsonschema.Draft202012Validator(AUDIT_EVENT).validate(event)


def test_nothing_of_the_record_is_lost_on_the_way():
    event = audit_event(FULL.model_dump(mode="json", by_alias=True, exclude_none=True))
    text = str(event)
    for value in ("viewer-7", "token", "192.0.2.7", "S-1", "S-2", "r-1", "gateway-0"):
        assert value in text
    assert event["outcome"] == "0"
    refused = FULL.model_copy(update={"outcome": AuditOutcome.REFUSED, "status": 403})
    failed = FULL.model_copy(update={"outcome": AuditOutcome.FAILED, "status": 503})
    assert audit_event(refused.model_dump(mode="json"))["outcome"] == "4"
    assert audit_event(failed.model_dump(mode="json"))["outcome"] == "8"
