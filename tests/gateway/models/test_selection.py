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
from gateway.models.selection import UNLOADED, ModelState, State, accepting, by_version, ties
from gateway.problems import problem_of
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


@pytest.mark.parametrize("state", [State.READY, State.UNAVAILABLE])
def test_of_equal_priorities_the_first_by_name_counts_ready_or_not(state: State):
    states = [model("chest_b", "7"), model("chest_a", "1", state), model("chest_c")]
    chosen = accepting(states, study())
    assert (chosen.name, chosen.version, chosen.state) == ("chest_a", "1", state)


def test_two_models_tie_where_the_name_alone_decides():
    states = [model("b"), model("a", "1"), model("a", "2"), model("hand", **HAND)]
    assert list(ties(states)) == [("a", "b")]
    assert list(ties([model("a", priority=1), model("b")])) == []
    children = model("c", accepts={"ages_years": {"from": 1, "below": 18}})
    adults = model("d", accepts={"ages_years": {"from": 18}})
    assert list(ties([children, adults])) == []
    assert list(ties([model("b"), children])) == [("b", "c")]


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
    assert (caught.value.model, caught.value.known) == ("refused", ("a:1",))


def test_a_version_that_is_not_served_is_told_with_those_that_are():
    states = [model("cxr", "10"), model("cxr", "9")]
    with pytest.raises(UnknownModelError) as caught:
        accepting(states, study(model={"name": "cxr", "version": "11"}))
    assert problem_of(caught.value).detail == (
        "The model asked for is not served. Models that are served: cxr:9; cxr:10."
    )


def test_what_no_contract_takes_is_told_with_what_they_take():
    with pytest.raises(NoModelAcceptsError) as caught:
        accepting([model("hand", **HAND), model("hand", "2", **HAND)], study(body_part="CHEST"))
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
