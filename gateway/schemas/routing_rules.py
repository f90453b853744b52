"""Rules of the routing document: conditions on an image, and what follows where they hold.

Data alone: conditions name fields and compare them; nothing in them is run.
"""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    model_validator,
)
from pydicom.datadict import dictionary_VR, tag_for_keyword

from gateway.schemas.metadata import document_date
from gateway.schemas.telemetry import CALLER_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_RULES = 200
MOST_CONDITIONS = 2000
MOST_VALUES = 10_000
"""Values after `in`, of all conditions together: each image may be compared with all of them."""
DEEPEST = 8
"""Levels of conditions within conditions."""

# Value representations that are text or 16-bit numbers (PS3.5, 6.2).
_COMPARED_VRS = frozenset(
    (
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN"),
        *("SH", "SS", "ST", "TM", "UC", "UI", "US", "UT"),
    )
)
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_OPERATORS = ("equals", "in", "glob", "range", "present", "older_than", "younger_than")

DICOM = "dicom."
METADATA = "metadata."
TIME_OF_DAY = "time_of_day"

Name = Annotated[str, StringConstraints(pattern=CALLER_PATTERN)]
Text = Annotated[str, StringConstraints(max_length=256)]
Value = Text | int | float | bool


def _is_known(field: str) -> str:
    keyword = field.removeprefix(DICOM)
    if keyword == field:
        return field
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of DICOM's dictionary (PS3.6)")
    if tag >> 16 in {0x0002, 0x7FE0} or dictionary_VR(tag) not in _COMPARED_VRS:
        raise ValueError(f"{keyword} is neither text nor a 16-bit number of the data set")
    return field


_FieldName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(metadata(\.[A-Za-z0-9_-]{1,64}){1,4}|dicom\.[A-Za-z0-9]{1,64}|sender|route"
        r"|ae_title|time_of_day)$"
    ),
    AfterValidator(_is_known),
]
_Age = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}[hDWMY]$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Range(_Part):
    """Range with both its ends in it; open where an end is left out."""

    from_: Value | None = Field(None, alias="from")
    to: Value | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        ends = [end for end in (self.from_, self.to) if end is not None]
        if not ends:
            raise ValueError("needs from or to")
        if len({_form(end) for end in ends}) > 1 or None in map(_form, ends):
            raise ValueError("has ends of one kind: numbers, dates (2026-01-31), times (08:15)")
        return self

    @property
    def is_of_times(self) -> bool:
        """True if its ends are times of day."""
        return _form(self.to if self.from_ is None else self.from_) == "time"


def _form(end: Value | None) -> str | None:
    """Return the kind of an end of a range; None if it is none of a range."""
    if isinstance(end, str):
        if _TIME_OF_DAY.fullmatch(end):
            return "time"
        return "date" if _DATE.fullmatch(end) and document_date(end) else None
    return None if isinstance(end, bool) else "number"


class Comparison(_Part):
    """Comparison of one field by one operator; of a field with several values, of any of them."""

    field: _FieldName = Field(
        description="`metadata.` and a field of the metadata document, or a path of names in it; "
        "`dicom.` and a keyword; `sender`, the configured name; `route`; `ae_title`, the "
        "sender's; `time_of_day` of arrival."
    )
    equals: Value | None = Field(None, description="Value, text without regard to case.")
    in_: tuple[Value, ...] | None = Field(
        None, alias="in", min_length=1, max_length=500, description="Values, of which it is one."
    )
    glob: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Pattern of the whole text: `*` is any text, `?` any character."
    )
    range_: Range | None = Field(
        None, alias="range", description="Range of numbers, dates or times of day."
    )
    present: bool | None = Field(None, description="True if there is a value, false if none.")
    older_than: _Age | None = Field(
        None,
        description="Age (number and h, D, W, M or Y) that an age or the time since a date or time "
        "exceeds.",
    )
    younger_than: _Age | None = Field(None, description="Age that it does not reach.")

    @property
    def operator(self) -> str:
        """Name of the operator."""
        [name] = self.given()
        return name

    @property
    def operand(self) -> Any:
        """Value that the field is compared with."""
        return getattr(self, {"in": "in_", "range": "range_"}.get(self.operator, self.operator))

    def given(self) -> list[str]:
        """Return the names of the operators that stand there."""
        attributes = {"in": "in_", "range": "range_"}
        return [
            name for name in _OPERATORS if getattr(self, attributes.get(name, name)) is not None
        ]

    @model_validator(mode="after")
    def _has_one_operator(self) -> Self:
        if len(self.given()) != 1:
            raise ValueError(f"needs one of {', '.join(_OPERATORS)}")
        has_times = self.range_ is not None and self.range_.is_of_times
        if has_times is not (self.field == TIME_OF_DAY):
            raise ValueError("time_of_day, and nothing else, has a range of times such as 08:15")
        return self


class AllOf(_Part):
    """Conditions that hold together; none of them hold always."""

    all: tuple[Condition, ...] = Field(max_length=MOST_RULES)


class AnyOf(_Part):
    """Conditions of which one holds."""

    any: tuple[Condition, ...] = Field(min_length=1, max_length=MOST_RULES)


class Not(_Part):
    """Condition that does not hold."""

    not_: Condition = Field(alias="not")


_KINDS = {"all": "all", "any": "any", "not": "not", "AllOf": "all", "AnyOf": "any", "Not": "not"}


def _kind(value: Any) -> str:
    """Return the kind of a condition by its names; of one that is made already, by its class."""
    names = value if isinstance(value, dict) else [type(value).__name__]
    return next((_KINDS[name] for name in names if name in _KINDS), "field")


Condition = Annotated[
    Annotated[Comparison, Tag("field")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")],
    Discriminator(_kind),
]


class RollBack(_Part):
    """Limits beyond which a canary is rolled back, until a person edits its model."""

    readings: int = Field(
        50,
        ge=10,
        le=10_000,
        description="Latest readings of the canary, or findings of a label, that a gateway holds "
        "to the limits; before there are as many, none is rolled back.",
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


class Canary(_Part):
    """Model version that reads the images of a share of the studies in place of another."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Name of the model; if unset, that of the model in whose place it reads."
    )
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
    percent: float = Field(
        ge=0,
        le=100,
        description="Share of the studies, chosen by a hash of the `study_id`: a larger one adds "
        "to a smaller one.",
    )
    roll_back: RollBack | None = Field(
        None, description="Limits beyond which its share becomes 0 by itself."
    )


class RuleModel(_Part):
    """A model that reads the images of a rule, where its contract takes them."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")] | None = Field(
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


class RuleCompletion(_Part):
    """Completion of studies, in place of the settings."""

    quiet_s: float | None = Field(
        None, gt=0, le=86400, description="Seconds since its last image until a study is complete."
    )
    expected_instances: int | None = Field(
        None, ge=1, le=10000, description="Number of instances with which a study is complete."
    )


NO_COMPLETION = RuleCompletion()
"""Nothing that rules say of completion."""


class Lane(StrEnum):
    """Lane in which a study waits for its turn, the most urgent one first."""

    STAT = "stat"
    ROUTINE = "routine"
    RESEARCH = "research"


class Otherwise(_Part):
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
        description="Lane in which the study waits where it is processed after its acceptance; of "
        "several the most urgent one, and `routine` without any.",
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


class Expectation(_Part):
    """Consequences that an example is to have; what is left out may be anything."""

    outcome: Literal["rules", "otherwise", "no_rule", "kept_out"] | None = None
    rules: tuple[Name, ...] | None = Field(None, description="Names of the rules that apply.")
    models: tuple[str, ...] | None = Field(
        None, description="Models that read it: `cxr`, or `cxr version 2`."
    )
    destinations: tuple[Name, ...] | None = None
    lane: Lane | None = None


class Example(_Part):
    """An image as it might come, for `radstream rules test`."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    metadata: dict[str, JsonValue] = Field({}, description="Metadata document.")
    dicom: dict[str, tuple[Text, ...]] = Field(
        {}, description="Values of DICOM attributes by keyword."
    )
    sender: Text = "anonymous"
    route: Text = "rest"
    ae_title: Text | None = None
    received_at: AwareDatetime = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    expect: Expectation


BuiltIn = Literal["quality-control", "secondary-captures"]
"""Built-in rules that a document can turn off."""


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
        str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"), AfterValidator(_is_zone)
    ] = Field("UTC", description="Time zone of times of day.")

    @property
    def has_rules(self) -> bool:
        """True if the document says which models read an image; else contracts alone do."""
        return bool(self.rules) or self.otherwise is not None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name")
        sizes = [depth for rule in self.rules for depth in _depths(rule.when)]
        if sum(_values(rule.when) for rule in self.rules) > MOST_VALUES:
            raise ValueError(f"the rules have more than {MOST_VALUES} values after `in`")
        if len(sizes) > MOST_CONDITIONS:
            raise ValueError(f"the rules have more than {MOST_CONDITIONS} conditions")
        if max(sizes, default=0) > DEEPEST:
            raise ValueError(f"conditions lie more than {DEEPEST} levels deep")
        return self


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """Return the conditions that a condition is made of; none of a comparison."""
    match condition:
        case AllOf():
            return condition.all
        case AnyOf():
            return condition.any
        case Not():
            return (condition.not_,)
        case _:
            return ()


def _depths(condition: Condition, depth: int = 1) -> Iterator[int]:
    """Yield the level of a condition and of all within it."""
    yield depth
    for part in parts_of(condition):
        yield from _depths(part, depth + 1)


def _values(condition: Condition) -> int:
    """Return the number of values after `in` of a condition and of all within it."""
    own = len(condition.in_ or ()) if isinstance(condition, Comparison) else 0
    return own + sum(map(_values, parts_of(condition)))
