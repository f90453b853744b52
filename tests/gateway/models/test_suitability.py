"""Doubts that a contract raises about a study, and their outcomes."""

from typing import Any

import pytest

from gateway.errors import ContractError
from gateway.models.contracts import read_contract
from gateway.models.suitability import doubts_about
from gateway.schemas.metadata import StudyMetadata
from tests.gateway.models.configs import config, parsed
from tests.support.models import contract


def raised(accepts: dict[str, Any], **fields: Any) -> list[tuple[str, str, str]]:
    """Return the doubts of a model for CHEST in the views AP and PA about a study of CHEST, AP."""
    document = {"study_id": "S1", "timestamp": "2026-01-31T12:00:00Z", "modality": "DX"}
    metadata = StudyMetadata.model_validate(
        document | {"body_part": "CHEST", "view": "AP"} | fields
    )
    found = doubts_about(parsed({"accepts": accepts}).accepts, metadata)
    return [(doubt.pointer, doubt.reason, doubt.outcome.value) for doubt in found]


def test_a_study_that_the_model_was_made_for_raises_no_doubt():
    assert raised({}) == []


@pytest.mark.parametrize("outcome", ["warn", "not_applicable"])
@pytest.mark.parametrize(
    ("choice", "fields", "pointer", "reason"),
    [
        (
            "unknown_body_part",
            {"body_part": None},
            "/body_part",
            "was made for CHEST, not for an unknown body part",
        ),
        (
            "other_body_part",
            {"body_part": "HIP"},
            "/body_part",
            "was made for CHEST, not for the body part HIP",
        ),
        (
            "unknown_view",
            {"view": None},
            "/view",
            "was made for AP, PA views, not for an unknown view",
        ),
        (
            "other_view",
            {"view": "LATERAL"},
            "/view",
            "was made for AP, PA views, not for the view LATERAL",
        ),
    ],
)
def test_the_contract_chooses_between_a_warning_and_no_verdict(
    outcome: str, choice: str, fields: dict[str, Any], pointer: str, reason: str
):
    assert raised({choice: outcome}, **fields) == [(pointer, reason, outcome)]
    refused = [] if choice == "unknown_body_part" else [(pointer, reason, "refuse")]
    assert raised({}, **fields) == refused
    assert raised({choice: "refuse"}, **fields) == [(pointer, reason, "refuse")]


def test_each_doubt_is_raised():
    found = raised(
        {"other_body_part": "warn", "other_view": "not_applicable", "ages_years": {"from": 18}},
        body_part="HIP",
        view="LATERAL",
    )
    assert [(pointer, outcome) for pointer, _, outcome in found] == [
        ("/body_part", "warn"),
        ("/view", "not_applicable"),
        ("/patient_age", "warn"),
    ]
    assert raised({}, modality="CT", body_part=None) == [
        ("/modality", "was made for CR, DX, not for the modality CT", "refuse")
    ]


def test_a_contradiction_cannot_be_accepted():
    with pytest.raises(ContractError, match=r"accepts\.other_view: must be"):
        read_contract("x", "1", config(contract({"accepts": {"other_view": "accept"}})))


UNKNOWN = "was made for patients of 1 to below 6 years, not for an unknown age"


@pytest.mark.parametrize(
    ("ages", "age", "outcomes"),
    [
        (None, None, []),
        ({"from": 1, "below": 6}, None, ["warn"]),
        ({"from": 1, "below": 6, "unknown": "not_applicable"}, None, ["not_applicable"]),
        ({"from": 1, "below": 6}, "011M", ["not_applicable"]),
        ({"from": 1, "below": 6}, "012M", []),
        ({"from": 1, "below": 6}, "005Y", []),
        ({"from": 1, "below": 6}, "006Y", ["not_applicable"]),
        ({"from": 18}, "017Y", ["not_applicable"]),
        ({"from": 18}, "120Y", []),
        ({"below": 1}, "364D", []),
    ],
)
def test_ages_that_a_model_was_made_for(ages: Any, age: str | None, outcomes: list[str]):
    found = raised({} if ages is None else {"ages_years": ages}, patient_age=age)
    assert [outcome for _, _, outcome in found] == outcomes
    told = {"011M": "1 to below 6 years, not for a younger patient"}
    told |= {"006Y": "1 to below 6 years, not for an older patient"}
    if age in told:
        assert [reason for _, reason, _ in found] == [f"was made for patients of {told[age]}"]
    if age is None and ages:
        assert [reason for _, reason, _ in found] == [UNKNOWN]
