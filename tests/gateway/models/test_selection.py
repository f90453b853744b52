"""The model that reads a study is chosen by contract, priority and version."""

from typing import Any

import pytest

from gateway.errors import (
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    UnknownModelError,
)
from gateway.models.contracts import read_contract
from gateway.models.selection import UNLOADED, ModelState, State, accepting, by_version
from tests.gateway.models.configs import config
from tests.gateway.models.registered import study
from tests.support.models import contract

HAND = {"accepts": {"body_parts": ["HAND"], "views": ["PA"]}}


def model(name: str, version: str = "1", state: State = State.READY, **document: Any) -> ModelState:
    served = read_contract(name, version, config(contract(document)))
    return ModelState(name, version, state, served=served)


def test_the_greatest_priority_counts_before_the_name():
    states = [model("a", priority=2), model("b", priority=1)]
    assert accepting(states, study()).name == "a"


def test_of_one_model_the_newest_version_that_is_ready_counts():
    states = [model("a", "9"), model("a", "10"), model("a", "11", State.UNAVAILABLE)]
    assert accepting(states, study()).version == "10"
    assert accepting(states[2:], study()).version == "11"  # ready or not


def test_versions_are_numbers():
    assert sorted([("a", "10"), ("a", "9"), ("B", "1")], key=by_version) == [
        ("B", "1"),
        ("a", "9"),
        ("a", "10"),
    ]


def test_a_model_that_is_named_is_taken_past_its_contract():
    states = [model("a"), model("hand", **HAND)]
    named = study(model={"name": "hand"})
    assert accepting(states, named).name == "hand"


def test_a_model_without_a_contract_is_unknown_and_never_chosen():
    states = [model("a"), ModelState("refused", "1", State.REFUSED, "no contract")]
    assert accepting(states, study()).name == "a"
    with pytest.raises(UnknownModelError) as caught:
        accepting(states, study(model={"name": "refused"}))
    assert "refused" in str(caught.value)


def test_what_no_contract_takes_is_told_with_what_they_take():
    with pytest.raises(NoModelAcceptsError) as caught:
        accepting([model("hand", **HAND)], study(body_part="CHEST"))
    assert caught.value.accepted == ("hand: CR/DX, HAND, PA",)


def test_a_view_is_demanded_where_the_fitting_contracts_name_views():
    document = {"study_id": "S1", "timestamp": "2026-01-31T12:00:00Z", "body_part": "HAND"}
    without_view = type(study()).model_validate(document)
    with pytest.raises(InvalidMetadataError):
        accepting([model("hand", **HAND)], without_view)


def test_nothing_is_chosen_where_nothing_is_served():
    with pytest.raises(InferenceUnavailableError):
        accepting([], study())


def test_an_operators_unload_is_no_sickness():
    assert ModelState("a", "1", State.UNAVAILABLE, "not loaded").sick
    assert not ModelState("a", "1", State.UNAVAILABLE, UNLOADED).sick
    assert not ModelState("a", "1", State.REFUSED, "no contract").sick


def test_a_model_made_for_the_patients_age_counts_before_the_priority():
    children = model("children", priority=1, accepts={"ages_years": {"from": 1, "below": 6}})
    adults = model("adults", priority=2, accepts={"ages_years": {"from": 18}})
    assert accepting([children, adults], study(patient_age="004Y")).name == "children"
    assert accepting([children, adults], study(patient_age="034Y")).name == "adults"
    # Nobody's age, and an unknown one: as without ages.
    assert accepting([children, adults], study(patient_age="010Y")).name == "adults"
    assert accepting([children, adults], study()).name == "adults"
