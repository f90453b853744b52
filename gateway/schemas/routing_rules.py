"""Rules of the routing document: conditions on an image, and what follows where they hold."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from gateway.schemas.metadata import View
from gateway.schemas.patterns import CALLER_PATTERN, TIME_ZONE_PATTERN, VERSION_PATTERN
from gateway.schemas.routing_conditions import (
    DEEPEST,
    MOST_CONDITIONS,
    MOST_RULES,
    MOST_VALUES,
    Condition,
    RoutingPart,
    Text,
    depths_of,
    values_of,
)

_Views = Annotated[tuple[View, ...], Field(max_length=8)]
Name = Annotated[str, StringConstraints(pattern=CALLER_PATTERN)]


class RollBack(RoutingPart):
    """Limits beyond which a canary is rolled back, until a person edits its model."""

    readings: int = Field(
        50,
        ge=10,
        le=10_000,
        description="Latest readings of the canary, or findings of a label, of all gateways that "
        "are held to the limits; before there are as many, none is rolled back.",
    )
    failed_percent: float | None = Field(
        None, ge=0, lt=100, description="Share of images that it may fail to read."
    )
    not_applicable_percent: float | None = Field(
        None, ge=0, lt=100, description="Share of images that it may be not applicable to."
    )
    infer_ms: float | None = Field(
        None, gt=0, description="Milliseconds that 95 in 100 of its inferences may take."
    )
    kappa: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Least agreement, by label, with the model in whose place it reads, of its "
        "readings as a shadow model.",
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        limits = (self.failed_percent, self.not_applicable_percent, self.infer_ms, self.kappa)
        if all(limit is None for limit in limits):
            raise ValueError("needs a limit")
        return self


class Canary(RoutingPart):
    """Model version that reads the images of a share of the studies in place of another."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Name of the model; if unset, that of the model in whose place it reads."
    )
    version: Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
    percent: float = Field(
        ge=0,
        le=100,
        description="Share of the studies, chosen by a hash of the `study_id`: a larger one adds "
        "to a smaller one.",
    )
    roll_back: RollBack | None = Field(
        None, description="Limits beyond which its share becomes 0 by itself."
    )


class RuleModel(RoutingPart):
    """A model that reads the images of a rule, where its contract takes them."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    version: Annotated[str, StringConstraints(pattern=VERSION_PATTERN)] | None = Field(
        None, description="Version; if unset, the newest one."
    )
    mode: Literal["live", "shadow"] = Field(
        "live",
        description="Part that the model plays: readings of a `shadow` model are kept and compared "
        "with the others, and shown nowhere.",
    )
    canary: Canary | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        canary = self.canary
        if self.mode == "shadow" and (self.version is None or canary is not None):
            raise ValueError("a shadow model names its version, and has no canary")
        if canary is None:
            return self
        if self.version is None:
            raise ValueError("a model with a canary names its version")
        if (canary.name or self.name, canary.version) == (self.name, self.version):
            raise ValueError("a canary is another version, or another model")
        return self


class RuleCompletion(RoutingPart):
    """Completion of studies, in place of the settings."""

    quiet_s: float | None = Field(
        None, gt=0, le=86400, description="Seconds since its last image until a study is complete."
    )
    expected_instances: int | None = Field(
        None, ge=1, le=10000, description="Number of instances with which a study is complete."
    )
    expected_views: _Views = Field((), description="Views with which a study is complete.")
    if_incomplete: Literal["deliver", "hold"] | None = Field(
        None,
        description="Action where the quiet time is over and expected instances or views are "
        "missing: `deliver` what there is, which is the default, or `hold` it, parked, until an "
        "operator retries the item or the rest comes.",
    )


NO_COMPLETION = RuleCompletion()
"""Nothing that rules say of completion."""


class Lane(StrEnum):
    """Lane in which a study waits for its turn, the most urgent one first."""

    STAT = "stat"
    ROUTINE = "routine"
    RESEARCH = "research"


class Otherwise(RoutingPart):
    """Consequences for images of which no rule's condition holds."""

    models: tuple[RuleModel, ...] = Field(
        (),
        max_length=16,
        description="Models that read the image; where no rule names one that is not a shadow, the "
        "accepting model of the highest priority does.",
    )
    destinations: tuple[Name, ...] = Field(
        (), max_length=32, description="Names of the destinations that get the results."
    )
    completion: RuleCompletion | None = None
    lane: Lane | None = Field(
        None,
        description="Lane in which the study waits for its turns; of several the most urgent one, "
        "and `routine` without any.",
    )

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        named = {
            (model.name, model.version if model.mode == "shadow" else None) for model in self.models
        }
        if len(named) != len(self.models):
            raise ValueError("names a model twice")
        if len(set(self.destinations)) != len(self.destinations):
            raise ValueError("names a destination twice")
        return self


class Rule(Otherwise):
    """Rule for the images of which its condition holds; all such rules apply to an image."""

    name: Name
    when: Condition
    keeps_out: bool = Field(
        False, description="Keeps the images out: they are refused, whatever other rules say."
    )

    @property
    def has_consequences(self) -> bool:
        """True if something follows besides that the images are kept out."""
        return any((self.models, self.destinations, self.completion, self.lane))

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.keeps_out and self.has_consequences:
            raise ValueError("a rule that keeps out has no other consequences")
        return self


class Expectation(RoutingPart):
    """Consequences that an example is to have; what is left out may be anything."""

    outcome: Literal["rules", "otherwise", "no_rule", "kept_out"] | None = None
    rules: tuple[Name, ...] | None = Field(None, description="Names of the rules that apply.")
    models: tuple[str, ...] | None = Field(
        None, description="Models that read it: `cxr`, or `cxr version 2`."
    )
    destinations: tuple[Name, ...] | None = None
    lane: Lane | None = None


class Example(RoutingPart):
    """An image as it might come, for `radstream rules test`."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    metadata: dict[str, JsonValue] = Field({}, description="Metadata document.")
    dicom: dict[str, tuple[Text, ...]] = Field(
        {}, description="Values of DICOM attributes by keyword."
    )
    sender: Text = "anonymous"
    tenant: Text | None = Field(None, description="Tenant; if unset, that of the sender.")
    route: Text = "rest"
    ae_title: Text | None = None
    received_at: AwareDatetime = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    expect: Expectation


BuiltIn = Literal["quality-control", "secondary-captures"]
"""Built-in rules that a document can turn off."""
_BUILT_IN = {"own-results", *get_args(BuiltIn)}


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA database that is known here") from None
    return name


class RoutingRules(BaseModel):
    """Rules of the routing document, which say which models read an image."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    rules: tuple[Rule, ...] = Field((), max_length=MOST_RULES)
    otherwise: Otherwise | None = Field(
        None, description="Consequences where no rule applies; if unset, such images are refused."
    )
    rules_off: tuple[BuiltIn, ...] = Field(
        (), description="Names of built-in rules that do not hold."
    )
    examples: tuple[Example, ...] = Field(
        (), max_length=1000, description="Images, and what is to follow for them."
    )
    time_zone: Annotated[
        str, StringConstraints(pattern=TIME_ZONE_PATTERN), AfterValidator(_is_zone)
    ] = Field("UTC", description="Time zone of times of day.")

    @property
    def has_rules(self) -> bool:
        """True if the document says which models read an image; else contracts alone do."""
        return bool(self.rules) or self.otherwise is not None

    @property
    def asks_contracts(self) -> bool:
        """True if there are images that contracts alone say the model of."""
        parts: list[Otherwise] = [rule for rule in self.rules if not rule.keeps_out]
        if self.otherwise is not None:
            parts.append(self.otherwise)
        shadows_alone = (all(model.mode == "shadow" for model in part.models) for part in parts)
        return not self.has_rules or any(shadows_alone)

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name")
        if set(names) & (_BUILT_IN - set(self.rules_off)):
            raise ValueError("a rule has the name of a built-in rule")
        sizes = [depth for rule in self.rules for depth in depths_of(rule.when)]
        if sum(values_of(rule.when) for rule in self.rules) > MOST_VALUES:
            raise ValueError(f"the rules have more than {MOST_VALUES} values after `in`")
        if len(sizes) > MOST_CONDITIONS:
            raise ValueError(f"the rules have more than {MOST_CONDITIONS} conditions")
        if max(sizes, default=0) > DEEPEST:
            raise ValueError(f"conditions lie more than {DEEPEST} levels deep")
        return self
