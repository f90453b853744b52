"""Rules are data of bounded size, and wrong ones are refused with their place."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.routing import RoutingDocument

HOLDS: dict[str, Any] = {"field": "metadata.modality", "equals": "DX"}


def read(**parts: Any) -> RoutingDocument:
    document = {"schema": "radstream.routing/1"} | parts
    return RoutingDocument.model_validate_json(json.dumps(document))


def with_condition(condition: Any) -> RoutingDocument:
    return read(rules=[{"name": "chest", "when": condition}])


def nested(depth: int) -> Any:
    return HOLDS if depth == 1 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "dicom.Manufacturer", "glob": "ACME*"},
        {"field": "metadata.image_size.width", "range": {"from": 100, "to": 4000.5}},
        {"field": "metadata.study_date", "range": {"from": "2026-01-31"}},
        {"field": "time_of_day", "range": {"from": "22:00", "to": "06:00"}},
        {"field": "dicom.PatientAge", "older_than": "18Y"},
        {"field": "sender", "in": ["ward-3", "ward-4"]},
        {"field": "dicom.Rows", "present": False},
        {"all": [HOLDS, {"any": [HOLDS, {"not": HOLDS}]}]},
        {"all": []},
        nested(8),
    ],
)
def test_conditions_come_back_as_they_were(condition: Any):
    document = with_condition(condition)
    written = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written["rules"][0]["when"] == condition
    assert document.has_rules


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "dicom.NoSuchKeyword", "present": True}, "no keyword"),
        ({"field": "dicom.PixelData", "present": True}, "neither text nor"),
        ({"field": "dicom.ViewCodeSequence", "present": True}, "neither text nor"),
        ({"field": "dicom.TransferSyntaxUID", "equals": "1.2"}, "neither text nor"),
        ({"field": "__class__", "present": True}, "pattern"),
        ({"field": "metadata", "present": True}, "pattern"),
        ({"field": "metadata.modality"}, "needs one of"),
        (HOLDS | {"glob": "D*"}, "needs one of"),
        (HOLDS | {"then": "drop"}, "not permitted"),
        ({"any": []}, "at least 1"),
        ({"field": "dicom.Rows", "range": {}}, "from or to"),
        ({"field": "dicom.Rows", "range": {"from": 1, "to": "2026-01-31"}}, "one kind"),
        ({"field": "dicom.Rows", "range": {"from": "a"}}, "one kind"),
        ({"field": "dicom.Rows", "range": {"from": "2026-02-30"}}, "one kind"),
        ({"field": "dicom.StudyTime", "range": {"from": "08:00"}}, "time_of_day"),
        ({"field": "time_of_day", "equals": "08:00"}, "time_of_day"),
        ({"field": "time_of_day", "range": {"from": "24:00"}}, "one kind"),
        ({"field": "dicom.PatientAge", "older_than": "18"}, "pattern"),
        ({"field": "dicom.Manufacturer", "glob": "*" * 200}, "128"),
        ({"field": "sender", "in": []}, "at least 1"),
        (nested(9), "8 levels"),
        ("import os", "an object"),
        (None, "an object"),
    ],
)
def test_what_is_no_condition_is_refused(condition: Any, words: str):
    with pytest.raises(ValidationError, match=words):
        with_condition(condition)


def test_very_deep_and_very_many_conditions_are_refused():
    with pytest.raises(ValidationError):
        with_condition(json.loads('{"not":' * 300 + json.dumps(HOLDS) + "}" * 300))
    many = [{"name": f"r{i}", "when": {"any": [HOLDS] * 150}} for i in range(15)]
    with pytest.raises(ValidationError, match="2000 conditions"):
        read(rules=many)
    listed = {"field": "sender", "in": [f"ward-{i}" for i in range(500)]}
    with pytest.raises(ValidationError, match="10000 values"):
        read(rules=[{"name": f"r{i}", "when": {"not": listed}} for i in range(21)])
    with pytest.raises(ValidationError, match="200 items"):
        read(rules=[{"name": f"r{i}", "when": HOLDS} for i in range(201)])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"name": "a\nb"}, "name"),
        ({"models": [{"name": "m"}, {"name": "m", "version": "2"}]}, "model twice"),
        ({"models": [{"name": "m", "version": "newest"}]}, "version"),
        ({"destinations": ["pacs", "pacs"]}, "destination twice"),
        ({"keeps_out": True, "models": [{"name": "m"}]}, "keeps out"),
        ({"completion": {"quiet_s": 0}}, "quiet_s"),
        ({"completion": {"expected_instances": 0}}, "expected_instances"),
    ],
)
def test_what_is_no_rule_is_refused(rule: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        read(rules=[{"name": "chest", "when": HOLDS} | rule])


def test_rules_have_names_of_their_own_and_a_zone_that_there_is():
    with pytest.raises(ValidationError, match="same name"):
        read(rules=[{"name": "a", "when": HOLDS}, {"name": "a", "when": HOLDS}])
    with pytest.raises(ValidationError, match="time zone"):
        read(time_zone="Europe/Atlantis")
    with pytest.raises(ValidationError, match="time_zone"):
        read(time_zone="../../etc/passwd")
    with pytest.raises(ValidationError, match="rules_off"):
        read(rules_off=["own-results"])


def test_a_document_of_senders_alone_has_no_rules():
    assert not read().has_rules
    assert read(otherwise={}).has_rules
