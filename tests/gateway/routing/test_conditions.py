"""Conditions against the facts of an image."""

import datetime as dt
import fnmatch
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.routing.conditions import Facts, holds, keywords, matches
from gateway.schemas.routing_conditions import Condition
from tests.support.attacks import TEXTS

CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)
UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
FACTS = Facts(
    metadata={
        "modality": "DX",
        "body_part": None,
        "study_date": "2026-01-29",
        "timestamp": "2026-01-31T08:15:00Z",
        "image_size": {"width": 2000, "height": 1800},
        "annotations": ["trauma", "follow-up"],
        "urgent": True,
        "ward": "  Ward 3 ",
    },
    received_at=dt.datetime(2026, 1, 31, 22, 30, tzinfo=dt.UTC),
    route="dimse",
    sender="ward-3",
    ae_title="DX3",
    dicom={
        "ImageType": ("DERIVED", "SECONDARY"),
        "PatientAge": ("045Y",),
        "PatientBirthDate": ("20080131",),
        "Rows": ("1800",),
        "AcquisitionDateTime": ("20260131120000.5",),
        "KVP": ("not a number",),
        "Manufacturer": (" ",),
    },
)


def held(condition: dict[str, Any], zone: ZoneInfo = UTC) -> bool:
    return holds(CONDITION.validate_python(condition), FACTS, zone)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "metadata.modality", "equals": "dx"}, True),
        ({"field": "metadata.ward", "equals": "ward 3"}, True),
        ({"field": "metadata.urgent", "equals": True}, True),
        ({"field": "metadata.urgent", "equals": 1}, False),
        ({"field": "metadata.image_size.width", "equals": 2000}, True),
        ({"field": "metadata.image_size.depth", "equals": 2000}, False),
        ({"field": "metadata.modality.x", "present": True}, False),
        ({"field": "metadata.annotations", "equals": "TRAUMA"}, True),
        ({"field": "metadata.body_part", "present": False}, True),
        ({"field": "metadata.body_part", "equals": "CHEST"}, False),
        ({"field": "dicom.ImageType", "equals": "SECONDARY"}, True),
        ({"field": "dicom.ImageType", "in": ["ORIGINAL", "PRIMARY"]}, False),
        ({"field": "dicom.Rows", "equals": 1800}, True),
        ({"field": "dicom.Rows", "range": {"from": 1800, "to": 1800}}, True),
        ({"field": "dicom.Rows", "range": {"to": 1799}}, False),
        ({"field": "dicom.KVP", "range": {"from": 0}}, False),
        ({"field": "dicom.Manufacturer", "present": True}, False),
        ({"field": "metadata.study_date", "range": {"from": "2026-01-29"}}, True),
        ({"field": "metadata.timestamp", "range": {"to": "2026-01-30"}}, False),
        ({"field": "metadata.modality", "range": {"from": "2026-01-29"}}, False),
        ({"field": "sender", "glob": "ward-?"}, True),
        ({"field": "route", "in": ["stow", "dimse"]}, True),
        ({"field": "ae_title", "glob": "DX*"}, True),
        ({"field": "ae_title", "glob": "CT*"}, False),
        ({"all": []}, True),
        ({"not": {"field": "sender", "equals": "ward-3"}}, False),
        (
            {"any": [{"field": "sender", "equals": "x"}, {"field": "route", "equals": "dimse"}]},
            True,
        ),
        (
            {"all": [{"field": "sender", "equals": "x"}, {"field": "route", "equals": "dimse"}]},
            False,
        ),
    ],
)
def test_a_condition_holds_or_does_not(condition: dict[str, Any], expected: bool):
    assert held(condition) is expected


@pytest.mark.parametrize(
    ("name", "age", "older", "younger"),
    [
        ("dicom.PatientAge", "18Y", True, False),
        ("dicom.PatientAge", "45Y", False, False),
        ("dicom.PatientAge", "540M", False, False),
        ("dicom.PatientAge", "541M", False, True),
        ("dicom.PatientBirthDate", "18Y", False, False),  # on that very day
        ("dicom.PatientBirthDate", "17Y", True, False),
        ("dicom.PatientBirthDate", "19Y", False, True),
        ("metadata.study_date", "1D", True, False),
        ("metadata.study_date", "2D", False, False),
        ("metadata.study_date", "40h", True, False),
        ("metadata.timestamp", "14h", True, False),
        ("metadata.timestamp", "15h", False, True),
        ("dicom.AcquisitionDateTime", "10h", True, False),
        ("dicom.AcquisitionDateTime", "11h", False, True),
        ("metadata.modality", "1D", False, False),
        ("dicom.StationName", "1D", False, False),
    ],
)
def test_ages_and_dates_are_older_or_younger(name: str, age: str, older: bool, younger: bool):
    assert held({"field": name, "older_than": age}) is older
    assert held({"field": name, "younger_than": age}) is younger


@pytest.mark.parametrize(
    ("bounds", "zone", "expected"),
    [
        ({"from": "22:00", "to": "06:00"}, UTC, True),
        ({"from": "23:00", "to": "06:00"}, UTC, False),
        ({"from": "23:00", "to": "06:00"}, BERLIN, True),  # 23:30 there
        ({"from": "22:30", "to": "22:30"}, UTC, True),
        ({"to": "22:29"}, UTC, False),
        ({"from": "22:00"}, UTC, True),
    ],
)
def test_a_time_of_day_may_go_over_midnight(bounds: dict[str, str], zone: ZoneInfo, expected: bool):
    assert held({"field": "time_of_day", "range": bounds}, zone) is expected


def test_keywords_are_found_at_every_level():
    condition = CONDITION.validate_python(
        {
            "all": [
                {"not": {"field": "dicom.Rows", "present": True}},
                {
                    "any": [
                        {"field": "dicom.Modality", "equals": "DX"},
                        {"field": "sender", "equals": "x"},
                    ]
                },
            ]
        }
    )
    assert sorted(keywords(condition)) == ["Modality", "Rows"]


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=12))
def test_patterns_match_as_in_a_shell(pattern: str, text: str):
    assert matches(pattern, text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.timeout(20)
def test_a_pattern_of_many_asterisks_ends():
    """A regular expression of this pattern would take longer than the universe is old."""
    assert not matches("*a" * 60 + "*b", "a" * 4096)


@pytest.mark.long
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "comparison",
    [
        {"glob": f"*{'a' * 125}b"},
        {"glob": f"*?{'a' * 124}b*"},
        {"in": [f"{'a' * 200}{number}" for number in range(500)]},
    ],
)
def test_the_longest_values_keep_no_study_waiting(comparison: dict[str, Any]):
    """A hundred conditions on what a sender can bring at most; one of them took eight seconds."""
    facts = Facts({"x": ["a" * 4096] * 64}, FACTS.received_at, "rest", "key")
    condition = CONDITION.validate_python({"any": [{"field": "metadata.x", **comparison}] * 100})
    assert not holds(condition, facts, UTC)


@given(st.text(), st.text(max_size=128))
def test_no_value_breaks_a_comparison(value: str, operand: str):
    facts = Facts({"x": value}, FACTS.received_at, "rest", "key", dicom={"StudyDate": (value,)})
    for comparison in (
        {"equals": operand},
        {"glob": operand or "*"},
        {"range": {"from": 3}},
        {"range": {"from": "2026-01-31"}},
        {"older_than": "9999Y"},
        {"younger_than": "1h"},
    ):
        for name in ("metadata.x", "dicom.StudyDate"):
            condition = CONDITION.validate_python({"field": name, **comparison})
            assert holds(condition, facts, UTC) in {True, False}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_attack_as_a_value_is_a_value(text: str):
    """It is compared as it stands, and as a pattern it has two special characters."""
    facts = Facts(
        {"x": text}, FACTS.received_at, "rest", "key", dicom={"SeriesDescription": (text,)}
    )
    for name in ("metadata.x", "dicom.SeriesDescription"):
        found = CONDITION.validate_python({"field": name, "present": True})
        assert holds(found, facts, UTC)
        other = CONDITION.validate_python({"field": name, "equals": "CHEST"})
        assert not holds(other, facts, UTC)
        if len(text) <= 128:
            same = CONDITION.validate_python({"field": name, "glob": text})
            assert holds(same, facts, UTC)
            assert holds(CONDITION.validate_python({"field": name, "in": ["a", text]}), facts, UTC)
