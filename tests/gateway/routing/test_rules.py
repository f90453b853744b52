"""All rules that match apply; what none matches is seen."""

import datetime as dt
from typing import Any

import pytest

from gateway.routing.conditions import Facts
from gateway.routing.rules import BUILT_IN, OWN_RESULTS, Decision, Outcome, Rules
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.routing_rules import Lane

ARCHIVE: dict[str, Any] = {"kind": "stow", "url": "https://archive.example.org"}
DOCUMENT: dict[str, Any] = {
    "schema": "radstream.routing/1",
    "destinations": [ARCHIVE | {"name": "pacs"}, ARCHIVE | {"name": "ward"}],
}
CHEST: dict[str, Any] = {
    "name": "chest",
    "when": {"field": "metadata.body_part", "equals": "CHEST"},
    "models": [{"name": "cxr"}],
    "destinations": ["pacs"],
    "completion": {"quiet_s": 60},
}
NIGHT: dict[str, Any] = {
    "name": "night",
    "when": {"field": "time_of_day", "range": {"from": "20:00", "to": "06:00"}},
    "models": [{"name": "cxr"}, {"name": "bones", "version": "2"}],
    "destinations": ["pacs", "ward"],
    "completion": {"quiet_s": 30, "expected_instances": 2},
}


def decided(*rules: dict[str, Any], dicom: Any = None, hour: int = 12, **parts: Any) -> Decision:
    document = {**DOCUMENT, "rules": rules} | parts
    facts = Facts(
        {"body_part": "CHEST"},
        dt.datetime(2026, 1, 31, hour, tzinfo=dt.UTC),
        "dimse",
        "ward-3",
        dicom=dicom or {},
    )
    return Rules(RoutingDocument.model_validate(document)).decide(facts)


def test_all_rules_that_match_apply_and_the_first_ones_completion_counts():
    decision = decided(CHEST, NIGHT, hour=22)
    assert (decision.outcome, decision.rules) == (Outcome.RULES, ("chest", "night"))
    assert list(map(str, decision.models)) == ["cxr", "bones version 2"]
    assert decision.destinations == ("pacs", "ward")
    assert (decision.completion.quiet_s, decision.completion.expected_instances) == (60, 2)
    assert decided(CHEST, NIGHT).rules == ("chest",)


def test_the_most_urgent_lane_counts():
    lanes = [dict(CHEST, name=lane, lane=lane) for lane in ("research", "stat", "routine")]
    assert decided(lanes[0]).lane is Lane.RESEARCH
    assert decided(CHEST, lanes[0]).lane is Lane.RESEARCH
    assert decided(*lanes).lane is Lane.STAT
    assert decided(CHEST).lane is Lane.ROUTINE
    assert decided(otherwise={"lane": "stat"}).lane is Lane.STAT
    with pytest.raises(ValueError, match="no other consequences"):
        decided({"name": "out", "when": {"all": []}, "keeps_out": True, "lane": "stat"})


def test_what_no_rule_matches_is_otherwise_or_no_rule():
    assert decided(NIGHT).outcome is Outcome.NO_RULE
    decision = decided(NIGHT, otherwise={"models": [{"name": "any"}]})
    assert (decision.outcome, list(map(str, decision.models))) == (Outcome.OTHERWISE, ["any"])


def test_without_rules_contracts_decide_of_all_but_own_results():
    assert decided().outcome is Outcome.CONTRACTS
    capture = {"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.7",)}
    assert decided(dicom=capture).outcome is Outcome.CONTRACTS
    own = {"Manufacturer": ("RadStream",), "ManufacturerModelName": ("RadStream",)}
    assert decided(dicom=own).outcome is Outcome.KEPT_OUT


@pytest.mark.parametrize(
    ("dicom", "rule"),
    [
        ({"QualityControlImage": ("YES",)}, "quality-control"),
        ({"SeriesDescription": ("Monthly Phantom",)}, "quality-control"),
        ({"BodyPartExamined": ("PHANTOM",)}, "quality-control"),
        ({"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.7",)}, "secondary-captures"),
        ({"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.7.4",)}, "secondary-captures"),
        (
            {"Manufacturer": ("RadStream",), "ManufacturerModelName": ("RadStream",)},
            "own-results",
        ),
    ],
)
def test_built_in_rules_keep_out_until_they_are_turned_off(dicom: Any, rule: str):
    decision = decided(CHEST, dicom=dicom)
    assert (decision.outcome, decision.rules) == (Outcome.KEPT_OUT, (rule,))
    if rule != OWN_RESULTS.name:
        assert decided(CHEST, dicom=dicom, rules_off=[rule]).rules == ("chest",)


def test_built_in_rules_keep_nothing_else_out():
    photograph = {"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.77.1.4",), "Manufacturer": ("Acme",)}
    assert decided(CHEST, dicom=photograph).outcome is Outcome.RULES
    assert [rule.name for rule in BUILT_IN] == [
        "own-results",
        "quality-control",
        "secondary-captures",
    ]


def test_a_rule_of_the_document_keeps_out_whatever_others_say():
    kept = {"name": "lab", "when": {"field": "sender", "equals": "ward-3"}, "keeps_out": True}
    decision = decided(CHEST, kept)
    assert (decision.outcome, decision.rules, decision.models) == (Outcome.KEPT_OUT, ("lab",), ())


def test_the_keywords_of_all_rules_are_known():
    document = {**DOCUMENT, "rules": [CHEST]}
    assert "QualityControlImage" in Rules(RoutingDocument.model_validate(document)).keywords
    without = Rules(RoutingDocument.model_validate({"schema": "radstream.routing/1"}))
    assert without.keywords == {"Manufacturer", "ManufacturerModelName"}


def test_shadow_models_stand_apart_from_those_that_read():
    rule = CHEST | {
        "models": [
            {"name": "cxr"},
            {"name": "cxr", "version": "2", "mode": "shadow"},
            {"name": "cxr", "version": "3", "mode": "shadow"},
        ]
    }
    decision = decided(rule)
    assert list(map(str, decision.models)) == ["cxr"]
    assert list(map(str, decision.shadows)) == ["cxr version 2", "cxr version 3"]


@pytest.mark.parametrize(
    "models",
    [
        [{"name": "cxr", "mode": "shadow"}],
        [{"name": "cxr", "version": "1", "mode": "shadow"}] * 2,
        [
            {
                "name": "cxr",
                "version": "1",
                "mode": "shadow",
                "canary": {"version": "2", "percent": 1},
            }
        ],
    ],
    ids=["without version", "twice", "with canary"],
)
def test_what_is_no_shadow_is_refused(models: list[dict[str, Any]]):
    with pytest.raises(ValueError, match=r"shadow|twice"):
        decided(CHEST | {"models": models})
