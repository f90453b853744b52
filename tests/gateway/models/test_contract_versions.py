"""Contracts of a model's versions: what is common to them, and what one overrides."""

import json
from typing import Any

import pytest

from gateway.errors import ContractError
from gateway.models.contract_versions import contract_of, merged_document
from gateway.models.contracts import read_contract
from gateway.schemas.contract import PARAMETER
from tests.gateway.models.configs import CONFIG, config
from tests.support.models import contract

LABELS = [{"label": "bright", "threshold": 0.7}]


def parameters(common: Any, **overrides: Any) -> dict[str, str]:
    """Return a configuration's parameters; `v2` is what version 2 overrides."""
    named = {f"{PARAMETER}.{name[1:]}": value for name, value in overrides.items()}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in ({PARAMETER: common} | named).items()
    }


def test_a_version_overrides_fields_and_leaves_the_others_as_they_are():
    ages = {"from": 18, "below": None, "unknown": "not_applicable"}
    given = parameters(
        contract({"accepts": {"ages_years": {"from": 1, "below": 6}}}),
        v2={
            "title": "Brightness of adults",
            "disclaimer": None,
            "accepts": {"ages_years": ages},
            "output": {"labels": LABELS},
            "golden": {"probabilities": {"bright": 0.4}},
        },
    )
    first, second = contract_of(given, "1"), contract_of(given, "2")
    assert first.output.labels[0].threshold == 0.5
    assert second.output.labels[0].threshold == 0.7
    assert (first.title, second.title) == ("Brightness", "Brightness of adults")
    assert (first.disclaimer, second.disclaimer) == ("Not for clinical use.", None)
    assert first.accepts.ages_years is not None
    assert second.accepts.ages_years is not None
    assert (30.0 in first.accepts.ages_years, 30.0 in second.accepts.ages_years) == (False, True)
    assert (first.golden.probabilities, second.golden.probabilities) == (
        {"bright": 0.689974},
        {"bright": 0.4},
    )
    same = [
        (each.input, each.golden.image, each.accepts.views, each.summary, each.output.name)
        for each in (first, second)
    ]
    assert same[0] == same[1]


def test_a_field_of_a_part_is_replaced_whole():
    window = {"rule": "window", "center": 0.5, "width": 0.8}
    given = parameters(
        contract({"input": {"intensity": window}}),
        v2={"input": {"intensity": {"rule": "full_range"}}},
    )
    assert merged_document(given, "2")["input"]["intensity"] == {"rule": "full_range"}
    assert contract_of(given, "2").input.columns == 32


def test_what_all_versions_override_need_not_be_common():
    golden = contract()["golden"]
    given = parameters(contract({"golden": None}), v2={"golden": golden})
    assert contract_of(given, "2").golden.probabilities == golden["probabilities"]
    with pytest.raises(ContractError, match="parameter 'radstream': golden: is required"):
        contract_of(given, "1")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"v2": "{"}, "parameter 'radstream.2': document: is not JSON: EOF"),
        ({"v2": "[]"}, "parameter 'radstream.2': document: must be an object"),
        ({"v2": {"threshold": 1}}, "'radstream' and 'radstream.2': threshold: is not a field"),
        ({"v2": {"accepts": None}}, "'radstream' and 'radstream.2': accepts: must be an object"),
        (
            {"v2": {"output": {"labels": [{"label": "dark", "threshold": 0.5}]}}},
            "'radstream' and 'radstream.2': document: .* must name every label",
        ),
        ({"vtwo": {}}, "parameter 'radstream.two': 'two' is not the number of a version"),
        ({"v02": {}}, "parameter 'radstream.02': '02' is not the number of a version"),
        ({"v": {}}, "parameter 'radstream.': '' is not the number of a version"),
    ],
)
def test_override_that_makes_no_contract_says_why(overrides: dict[str, Any], said: str):
    with pytest.raises(ContractError, match=said):
        contract_of(parameters(contract(), **overrides), "2")


def test_override_of_one_version_does_not_concern_another():
    given = parameters(contract(), v2="{", v3={"output": {"labels": LABELS}})
    assert contract_of(given, "1").output.labels[0].threshold == 0.5
    assert contract_of(given, "3").output.labels[0].threshold == 0.7


def test_override_is_held_to_the_tensors_that_all_versions_share():
    given = parameters(contract(), v2={"input": {"rows": 16}})
    shared = config("", parameters=given)
    assert read_contract("brightness", "1", shared).contract.input.rows == 32
    with pytest.raises(ContractError, match=r"'image' has shape \[1, 32, 32\], not \[1, 16, 32\]"):
        read_contract("brightness", "2", shared)


def test_parameters_of_other_programs_are_left_alone():
    given = parameters(contract()) | {"radstream_placement": "", "execution.mode": "1"}
    assert contract_of(given, "1") == contract_of(parameters(contract()), "1")
    assert CONFIG.parameters == {}
