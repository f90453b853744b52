"""Parts that the rules of the routing document give to the versions of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.routing.canary import canary_key
from gateway.schemas.result import Mode

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.schemas.routing_rules import RoutingRules

OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A part of a model version.

    Parameters
    ----------
    rule
        Name of the rule that gives it; `OTHERWISE` where none applies.
    version
        Version that is named; None is the newest.
    mode
        The part.
    percent
        Share of the rule's studies, from 0 to 100.
    is_rolled_back
        True of a canary whose limits made its share 0.
    """

    rule: str
    version: str | None
    mode: Mode
    percent: float
    is_rolled_back: bool = False


def model_parts(
    rules: RoutingRules, rolled_back: Collection[str] = ()
) -> dict[str, list[ModelPart]]:
    """Return the parts by name of the model, in the order of the rules.

    Parameters
    ----------
    rolled_back
        Keys of canaries that read nothing; see `canary_key`.
    """
    found: dict[str, list[ModelPart]] = {}
    named = [(rule.name, rule.models) for rule in rules.rules]
    if rules.otherwise is not None:
        named.append((OTHERWISE, rules.otherwise.models))
    for rule, models in named:
        for model in models:
            canary = model.canary
            is_back = canary is not None and canary_key(model) in rolled_back
            share = 0.0 if canary is None or is_back else canary.percent
            own = ModelPart(rule, model.version, Mode(model.mode), 100.0 - share)
            found.setdefault(model.name, []).append(own)
            if canary is not None:
                part = ModelPart(rule, canary.version, Mode.CANARY, share, is_back)
                found.setdefault(canary.name or model.name, []).append(part)
    return found
