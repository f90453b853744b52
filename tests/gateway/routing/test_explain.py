"""An explanation says of each condition whether it holds, as the rules themselves do."""

import datetime as dt
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.routing.conditions import Facts
from gateway.routing.explain import explained, worded
from gateway.routing.in_force import Routes
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.routing_conditions import Condition

FACTS = Facts(
    {"study_id": "S1", "modality": "DX"}, dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC), "rest", "key"
)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "sender", "in": ["a", "b"]}, "sender in a, b"),
        ({"field": "dicom.Rows", "range": {"from": 1}}, "dicom.Rows range from 1"),
        ({"field": "dicom.Rows", "present": True}, "dicom.Rows present true"),
        ({"all": []}, "all"),
        ({"not": {"all": []}}, "not"),
    ],
)
def test_a_condition_is_told_in_a_few_words(condition: Any, words: str):
    adapter: TypeAdapter[Condition] = TypeAdapter(Condition)
    assert worded(adapter.validate_python(condition)) == words


def test_what_applies_is_what_the_rules_decide():
    rules = [
        {"name": "x", "when": {"field": "metadata.modality", "equals": "DX"}},
        {"name": "y", "when": {"field": "time_of_day", "range": {"from": "09:00"}}},
    ]
    document = {"schema": "radstream.routing/1", "rules": rules, "time_zone": "Europe/Berlin"}
    routes = Routes(RoutingDocument.model_validate(document))
    routing = explained(routes, FACTS)
    applying = [rule.name for rule in routing.rules if rule.applies]
    assert applying == list(routes.rules.decide(FACTS).rules) == ["x", "y"]
    assert [rule.built_in for rule in routing.rules] == [True, True, True, False, False]
    assert routing.rules[-1].when.values == ("09:00",)
    assert routing.rules[-2].when.values == ("DX",)
