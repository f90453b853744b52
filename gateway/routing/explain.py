"""Reasons why rules apply to an image, or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.routing.conditions import holds
from gateway.routing.rules import BUILT_IN
from gateway.schemas.routing_conditions import TIME_OF_DAY, Comparison, parts_of
from gateway.schemas.routing_explanation import (
    ConditionExplanation,
    ImageRouting,
    RoutedModel,
    RuleExplanation,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from gateway.routing.conditions import Facts
    from gateway.routing.in_force import Routes
    from gateway.schemas.routing_conditions import Condition, Range


def explained(routes: Routes, facts: Facts, sha256: str | None = None) -> ImageRouting:
    """Return what the rules say of an image, and why."""
    rules = routes.rules
    decision = rules.decide(facts)
    return ImageRouting(
        sha256=sha256,
        document=routes.digest,
        outcome=decision.outcome.value,
        models=tuple(
            RoutedModel(name=arm.name, version=arm.version, mode=arm.mode.value)
            for arm in (*decision.models, *decision.shadows)
        ),
        destinations=decision.destinations,
        lane=decision.lane,
        rules=tuple(
            RuleExplanation(
                name=rule.name,
                built_in=rule in BUILT_IN,
                keeps_out=rule.keeps_out,
                applies=holds(rule.when, facts, rules.zone),
                when=_condition(rule.when, facts, rules.zone),
            )
            for rule in rules.all
        ),
    )


def worded(condition: Condition) -> str:
    """Return a condition in a few words."""
    if isinstance(condition, Comparison):
        return f"{condition.field} {condition.operator} {_operand(condition)}"
    [kind] = type(condition).model_fields
    return kind.rstrip("_")


def _condition(condition: Condition, facts: Facts, zone: ZoneInfo) -> ConditionExplanation:
    parts = tuple(_condition(part, facts, zone) for part in parts_of(condition))
    values = None
    if isinstance(condition, Comparison):
        values = (
            (f"{facts.received_at.astimezone(zone):%H:%M}",)
            if condition.field == TIME_OF_DAY
            else facts.values(condition.field)
        )
    return ConditionExplanation(
        condition=worded(condition),
        holds=holds(condition, facts, zone),
        values=values,
        parts=parts or None,
    )


def _operand(condition: Comparison) -> str:
    operand: Any = condition.operand
    if condition.operator == "range":
        bounds: Range = operand
        ends = (("from", bounds.from_), ("to", bounds.to))
        return " ".join(f"{name} {end}" for name, end in ends if end is not None)
    if condition.operator == "in":
        return ", ".join(map(str, operand))
    return str(operand).lower() if isinstance(operand, bool) else str(operand)
