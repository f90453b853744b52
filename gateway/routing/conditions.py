"""Conditions of rules, held against the facts of an image.

Not `fnmatch` for patterns: it makes regular expressions in which parts repeat, and a few asterisks
can take minutes. Senders choose the values, so a comparison costs little whatever they are.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gateway.schemas.metadata import document_date
from gateway.schemas.routing_conditions import (
    DICOM,
    METADATA,
    TIME_OF_DAY,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Not,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from gateway.schemas.routing_conditions import Range

Found = str | int | float | bool

_DAYS = {"h": 1 / 24, "D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
_DICOM_AGE = re.compile(r"[0-9]{3}[DWMY]")  # PS3.5, 6.2, AS
_DICOM_TIME = re.compile(r"([0-9]{8})([0-9]{2})([0-9]{2})([0-9]{2})?.*")  # DT
_MOST_VALUES = 64
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of an image that conditions may name.

    Parameters
    ----------
    metadata
        The metadata document, as JSON.
    received_at, route
        Time of arrival, and the way in.
    sender
        Name of the sender, as it is configured.
    tenant
        The tenant that it belongs to, where there are tenants.
    ae_title
        Its AE title, where it is a DICOM sender.
    dicom
        Values of DICOM attributes by keyword, as far as rules ask for them.
    """

    metadata: Mapping[str, Any]
    received_at: dt.datetime
    route: str
    sender: str
    tenant: str | None = None
    ae_title: str | None = None
    dicom: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def values(self, name: str) -> tuple[Found, ...]:
        """Return the values of a field, none of which is empty."""
        if name.startswith(DICOM):
            found: Any = list(self.dicom.get(name.removeprefix(DICOM), ()))
        elif name.startswith(METADATA):
            found = self.metadata
            for step in name.removeprefix(METADATA).split("."):
                found = found.get(step) if isinstance(found, dict) else None
        else:
            found = getattr(self, name)
        listed = found if isinstance(found, list) else [found]
        return tuple(
            value[:_LONGEST] if isinstance(value, str) else value
            for value in listed[:_MOST_VALUES]
            if isinstance(value, bool | int | float) or (isinstance(value, str) and value.strip())
        )


def holds(condition: Condition, facts: Facts, zone: ZoneInfo) -> bool:
    """Return True if a condition holds for an image.

    Parameters
    ----------
    zone
        Time zone of times of day, and of dates.
    """
    match condition:
        case AllOf():
            return all(holds(part, facts, zone) for part in condition.all)
        case AnyOf():
            return any(holds(part, facts, zone) for part in condition.any)
        case Not():
            return not holds(condition.not_, facts, zone)
        case Comparison(field=name) if name == TIME_OF_DAY:
            return _is_at(condition.operand, facts.received_at.astimezone(zone))
        case _:
            return _compared(condition, facts, zone)


def keywords(condition: Condition) -> Iterator[str]:
    """Yield the DICOM keywords that a condition names."""
    if isinstance(condition, Comparison) and condition.field.startswith(DICOM):
        yield condition.field.removeprefix(DICOM)
    for part in parts_of(condition):
        yield from keywords(part)


def matches(pattern: str, text: str) -> bool:
    """Return True if a pattern of `*` and `?` fits the whole text, without regard to case.

    In time of the product of both lengths at most: each piece between asterisks is found once.
    """
    first, *others = _plain(pattern).split("*")
    text = _plain(text)
    if not others:
        return _piece(first).fullmatch(text) is not None
    *middle, last = others
    found = _piece(first).match(text)
    for piece in middle:
        if found is None:
            return False
        found = _piece(piece).search(text, found.end())
    if found is None:
        return False
    return _piece(last).fullmatch(text, max(found.end(), len(text) - len(last))) is not None


@lru_cache(maxsize=4096)
def _piece(piece: str) -> re.Pattern[str]:
    """Return an expression of a piece of a pattern, of fixed length: nothing in it repeats."""
    return re.compile(".".join(map(re.escape, piece.split("?"))), re.DOTALL)


def _compared(comparison: Comparison, facts: Facts, zone: ZoneInfo) -> bool:
    values, operand = facts.values(comparison.field), comparison.operand
    match comparison.operator:
        case "present":
            return bool(values) is operand
        case "equals":
            return any(_is_among(value, (operand,)) for value in values)
        case "in":
            return any(_is_among(value, operand) for value in values)
        case "glob":
            return any(matches(operand, str(value)) for value in values)
        case "range":
            return any(_is_within(value, operand) for value in values)
        case operator:
            sign = 1 if operator == "older_than" else -1
            ages = (_exceeds(value, operand, facts.received_at, zone) for value in values)
            return sign in ages


def _plain(text: str) -> str:
    return text.strip().casefold()


def _is_among(value: Found, wanted: tuple[Found, ...]) -> bool:
    if isinstance(value, bool):
        return any(value is each for each in wanted)
    number = _number(value)
    return _plain(str(value)) in _texts(wanted) or any(
        number == each for each in wanted if not isinstance(each, str | bool)
    )


@lru_cache(maxsize=4096)
def _texts(wanted: tuple[Found, ...]) -> frozenset[str]:
    """Return the texts among values, as they are compared."""
    return frozenset(_plain(each) for each in wanted if isinstance(each, str))


def _is_within(value: Found, bounds: Range) -> bool:
    ends = (bounds.from_, bounds.to)
    if isinstance(bounds.from_ if bounds.from_ is not None else bounds.to, str):
        found: Any = document_date(str(value).strip()[:10]) or document_date(str(value).strip()[:8])
    else:
        found = _number(value)
    if found is None:
        return False
    low, high = ends
    return (low is None or low <= found) and (high is None or found <= high)


def _is_at(bounds: Range, moment: dt.datetime) -> bool:
    """Return True if a time of day lies in a range, which may go over midnight."""
    now, start, end = f"{moment:%H:%M}", bounds.from_ or "00:00", bounds.to or "23:59"
    if str(start) <= str(end):
        return str(start) <= now <= str(end)
    return now >= str(start) or now <= str(end)


def _number(value: Found) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _exceeds(value: Found, age: str, now: dt.datetime, zone: ZoneInfo) -> int | None:
    """Return 1 where a value is older than an age, -1 where it is younger, 0 where neither is so.

    None of what is neither an age nor a date nor a time.
    """
    text = str(value).strip()
    if _DICOM_AGE.fullmatch(text.upper()):
        return _sign(_days(text.upper()) - _days(age))
    limit = _before(now.astimezone(zone), age)
    date = document_date(text)
    if date is not None and not age.endswith("h"):
        return _sign((limit.date() - dt.date.fromisoformat(date)).days)
    moment = _moment(text, zone)
    return None if moment is None else _sign((limit - moment).total_seconds())


def _moment(text: str, zone: ZoneInfo) -> dt.datetime | None:
    """Return the time that a text is: RFC 3339, or DICOM's DA or DT; without a zone, of this."""
    found = _DICOM_TIME.fullmatch(text)
    if found is not None:
        date, hour, minute, second = found.groups()
        text = f"{date}T{hour}{minute}{second or '00'}"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _days(age: str) -> float:
    return int(age[:-1]) * _DAYS[age[-1]]


def _before(now: dt.datetime, age: str) -> dt.datetime:
    """Return the moment that lies an age before another, months and years by the calendar."""
    number, unit = int(age[:-1]), age[-1]
    if unit not in "MY":
        return now - dt.timedelta(days=number * _DAYS[unit])
    months = now.year * 12 + now.month - 1 - number * (12 if unit == "Y" else 1)
    year, month = max(months // 12, 1), months % 12 + 1
    day = min(now.day, calendar.monthrange(year, month)[1])
    return now.replace(year=year, month=month, day=day)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
