"""Stop rules of the routing document: limits of a model's health, and what follows beyond them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from gateway.schemas.patterns import VERSION_PATTERN
from gateway.schemas.routing_conditions import RoutingPart
from gateway.schemas.routing_rules import Name

ORDERED = ("mean", "deviation", "entropy", "saturation", "border", "size", "exposure_index")
"""Features of which an order is known."""
NOMINAL = ("device", "view", "age_band", "sex", "hour")

_ORDERED = "|".join(ORDERED)
_SignalName = Annotated[
    str,
    StringConstraints(
        pattern=rf"^(not_applicable|{'|'.join(NOMINAL)}|{_ORDERED}|unusual/({_ORDERED})"
        r"|(positive|near|probability)/[A-Za-z0-9 _.,()/+-]{1,64})$"
    ),
]
_Limit = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
_Percent = Annotated[float, Field(ge=0, lt=100)]
_LeastShare = Annotated[float, Field(gt=0, le=1)]


class StopRule(RoutingPart):
    """Limits of a model's health; beyond any of them the rule is broken."""

    name: Name
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="Name of the model."
    )
    version: Annotated[str, StringConstraints(pattern=VERSION_PATTERN)] | None = Field(
        None, description="Version; if unset, each one."
    )
    action: Literal["alert", "silence"] = Field(
        "alert",
        description="Consequence: a metric that is alerted on; with `silence` the version's "
        "findings are shown and delivered nowhere as well, until a person arms it again.",
    )
    signals: dict[_SignalName, _Limit] = Field(
        {},
        max_length=64,
        description="Limits by signal of drift: of a distance its lower bound, of a CUSUM its "
        "evidence, which is 10 at most.",
    )
    readings: int = Field(
        100,
        ge=20,
        le=500,
        description="Number of the latest readings, from which on shares are held to their limits.",
    )
    not_applicable_percent: _Percent | None = Field(
        None, description="Share of readings that it may be not applicable to."
    )
    failed_percent: _Percent | None = Field(
        None, description="Share of images that it may fail to read."
    )
    sensitivity: _LeastShare | None = Field(
        None,
        description="Least share of positive verdicts among judgements that a finding is there, by "
        "label: the rule is broken where the share's upper bound is below, of 20 judgements or "
        "more.",
    )
    specificity: _LeastShare | None = Field(
        None, description="The same, of negative verdicts among judgements that it is absent."
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        limits = (
            *(self.not_applicable_percent, self.failed_percent),
            *(self.sensitivity, self.specificity),
        )
        if not self.signals and all(limit is None for limit in limits):
            raise ValueError("needs a limit")
        return self
