"""Conditions of the routing document's rules: comparisons of fields, joined by all, any and not.

Data alone: they name fields and compare them; nothing in them is run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydicom.datadict import dictionary_VR, tag_for_keyword

from gateway.schemas.metadata import document_date
from gateway.schemas.patterns import AGE_PATTERN, FIELD_PATTERN

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
    StringConstraints(pattern=FIELD_PATTERN),
    AfterValidator(_is_known),
]
_Age = Annotated[str, StringConstraints(pattern=AGE_PATTERN)]


class RoutingPart(BaseModel):
    """Part of the routing document."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Range(RoutingPart):
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


class Comparison(RoutingPart):
    """Comparison of one field by one operator; of a field with several values, of any of them."""

    field: _FieldName = Field(
        description="`metadata.` and a field of the metadata document, or a path of names in it; "
        "`dicom.` and a keyword; `sender`, the configured name; `tenant`, the sender's; `route`; "
        "`ae_title`, the sender's; `time_of_day` of arrival."
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


class AllOf(RoutingPart):
    """Conditions that hold together; none of them hold always."""

    all: tuple[Condition, ...] = Field(max_length=MOST_RULES)


class AnyOf(RoutingPart):
    """Conditions of which one holds."""

    any: tuple[Condition, ...] = Field(min_length=1, max_length=MOST_RULES)


class Not(RoutingPart):
    """Condition that does not hold."""

    not_: Condition = Field(alias="not")


# Kinds are none of the names that a condition may have: they go out of the way to a fault.
_ALL, _ANY, _NOT, _COMPARISON = "all of", "any of", "not this", "comparison"
_KINDS = {"all": _ALL, "any": _ANY, "not": _NOT, "AllOf": _ALL, "AnyOf": _ANY, "Not": _NOT}


def _kind(value: Any) -> str:
    """Return the kind of a condition by its names; of one that is made already, by its class."""
    names = value if isinstance(value, dict) else [type(value).__name__]
    return next((_KINDS[name] for name in names if name in _KINDS), _COMPARISON)


Condition = Annotated[
    Annotated[Comparison, Tag(_COMPARISON)]
    | Annotated[AllOf, Tag(_ALL)]
    | Annotated[AnyOf, Tag(_ANY)]
    | Annotated[Not, Tag(_NOT)],
    Discriminator(_kind),
]


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


def depths_of(condition: Condition, depth: int = 1) -> Iterator[int]:
    """Yield the level of a condition and of all within it."""
    yield depth
    for part in parts_of(condition):
        yield from depths_of(part, depth + 1)


def values_of(condition: Condition) -> int:
    """Return the number of values after `in` of a condition and of all within it."""
    own = len(condition.in_ or ()) if isinstance(condition, Comparison) else 0
    return own + sum(map(values_of, parts_of(condition)))
