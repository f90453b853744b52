"""Rules are data of bounded size, and wrong ones are refused with their place."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.routing.rules import BUILT_IN
from gateway.schemas.routing import RoutingDocument

HOLDS: dict[str, Any] = {"field": "metadata.modality", "equals": "DX"}


def read(**parts: Any) -> RoutingDocument:
    document = {"schema": "radstream.routing/1"} | parts
    return RoutingDocument.model_validate_json(json.dumps(document))


def with_condition(condition: Any) -> RoutingDocument:
    return read(rules=[{"name": "chest", "when": condition}])


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


@pytest.mark.parametrize("name", [rule.name for rule in BUILT_IN])
def test_a_built_in_rule_has_its_name_alone(name: str):
    with pytest.raises(ValidationError, match="built-in rule"):
        read(rules=[{"name": name, "when": HOLDS}])


def test_the_name_of_a_built_in_rule_that_is_turned_off_is_free():
    own = {"name": "secondary-captures", "when": HOLDS, "keeps_out": True}
    assert read(rules=[own], rules_off=["secondary-captures"]).rules[0].name == own["name"]


def test_a_document_of_senders_alone_has_no_rules():
    assert not read().has_rules
    assert read(otherwise={}).has_rules


LIVE = {"name": "cxr"}
SHADOW = {"name": "trial", "version": "2", "mode": "shadow"}


@pytest.mark.parametrize(
    ("parts", "asks"),
    [
        ({}, True),
        ({"otherwise": {}}, True),
        ({"otherwise": {"models": [SHADOW]}}, True),
        ({"otherwise": {"models": [LIVE, SHADOW]}}, False),
        ({"rules": [{"name": "a", "when": HOLDS, "models": [LIVE, SHADOW]}]}, False),
        ({"rules": [{"name": "a", "when": HOLDS, "keeps_out": True}]}, False),
        ({"rules": [{"name": "a", "when": HOLDS}], "otherwise": {"models": [LIVE]}}, True),
    ],
)
def test_contracts_are_asked_where_rules_name_no_model_but_shadows(
    parts: dict[str, Any], asks: bool
):
    assert read(**parts).asks_contracts is asks
