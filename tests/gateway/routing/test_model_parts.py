"""Parts of models are those that the rules give, with their shares of the studies."""

from gateway.routing.canary import canary_key
from gateway.routing.model_parts import OTHERWISE, model_parts
from gateway.schemas.models import ModelPart
from gateway.schemas.result import Mode
from gateway.schemas.routing_rules import RoutingRules


def part(rule: str, version: str | None, mode: Mode, percent: float, **more: bool) -> ModelPart:
    return ModelPart(rule=rule, version=version, mode=mode, percent=percent, **more)


def test_a_rule_without_a_canary_gives_a_model_all_studies():
    rules = RoutingRules.model_validate({"otherwise": {"models": [{"name": "cxr"}]}})
    assert model_parts(rules) == {"cxr": [part(OTHERWISE, None, Mode.LIVE, 100.0)]}
    assert model_parts(RoutingRules()) == {}


def test_a_canary_has_its_share_and_leaves_the_rest():
    when = {"field": "sender", "equals": "room-2"}
    canary = {"name": "other", "version": "2", "percent": 12.5}
    model = {"name": "cxr", "version": "1", "canary": canary}
    rules = RoutingRules.model_validate({"rules": [{"name": "a", "when": when, "models": [model]}]})
    assert model_parts(rules) == {
        "cxr": [part("a", "1", Mode.LIVE, 87.5)],
        "other": [part("a", "2", Mode.CANARY, 12.5)],
    }
    key = canary_key(rules.rules[0].models[0])
    assert model_parts(rules, {key}) == {
        "cxr": [part("a", "1", Mode.LIVE, 100.0)],
        "other": [part("a", "2", Mode.CANARY, 0.0, is_rolled_back=True)],
    }


def test_a_shadow_reads_beside_the_others():
    shadow = {"name": "cxr", "version": "2", "mode": "shadow"}
    rules = RoutingRules.model_validate({"otherwise": {"models": [shadow]}})
    assert model_parts(rules) == {"cxr": [part(OTHERWISE, "2", Mode.SHADOW, 100.0)]}
