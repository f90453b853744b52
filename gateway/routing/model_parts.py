"""Parts that the rules of the routing document give to the versions of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.routing.canary import canary_key
from gateway.schemas.models import ModelPart
from gateway.schemas.result import Mode

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.schemas.routing_rules import RoutingRules

OTHERWISE = "otherwise"


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
            own = ModelPart(
                rule=rule, version=model.version, mode=Mode(model.mode), percent=100.0 - share
            )
            found.setdefault(model.name, []).append(own)
            if canary is not None:
                part = ModelPart(
                    rule=rule,
                    version=canary.version,
                    mode=Mode.CANARY,
                    percent=share,
                    is_rolled_back=is_back,
                )
                found.setdefault(canary.name or model.name, []).append(part)
    return found
