"""Conditions come back as they were written, and what is none is refused with its place."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.gateway.schemas.test_routing_rules import HOLDS, with_condition


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
