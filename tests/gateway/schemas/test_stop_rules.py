"""Stop rules name signals that there are and limits that may be reached; others are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.monitoring.features import FEATURES
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.stop_rules import NOMINAL, ORDERED, StopRule


def test_rules_know_the_features_that_are_watched():
    assert {name for name, each in FEATURES.items() if each.is_ordered} == set(ORDERED)
    assert {name for name, each in FEATURES.items() if not each.is_ordered} == set(NOMINAL)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"signals": {"meen": 0.2}},
        {"signals": {"unusual/view": 5}},
        {"signals": {"mean": 0}},
        {"signals": {"unusual/mean": 10.5}},
        {"failed_percent": 100},
        {"sensitivity": 0},
    ],
)
def test_a_rule_without_a_limit_or_with_an_impossible_one_is_refused(limits: dict[str, Any]):
    with pytest.raises(ValidationError):
        StopRule.model_validate({"name": "r", "model": "m"} | limits)


def test_a_document_has_each_name_once():
    rule = {"name": "r", "model": "m", "failed_percent": 5}
    document = {"schema": "radstream.routing/1", "stop_rules": [rule, rule | {"model": "n"}]}
    with pytest.raises(ValidationError, match="two stop rules have the same name"):
        RoutingDocument.model_validate(document)
