"""The named queries' answers, and how a person reads a value of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.report.questions import Question, in_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.report.records import Records

NOT_ENOUGH = "not enough data"
_WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = {"percent": "%", "usd": "USD", "mb": "MB"}
# What a row without it sums up over.
_WHOLE = {"hour": "all hours", "day": "all days"}


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A named query and what it answers.

    Parameters
    ----------
    question
        The query.
    columns
        Their names; the end of a name is its unit.
    rows
        In the query's order.
    """

    question: Question
    columns: list[str]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows by their columns' names."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def answers(
    records: Records,
    asked: Iterable[Question],
    *,
    since: dt.date | None,
    paid: Mapping[str, float],
) -> dict[str, QueryResult]:
    """Return the answers to named queries by name, in their order."""
    found = {}
    for question in asked:
        columns, rows = records.ask(in_duckdb(question.sql, since=since, paid=paid))
        found[question.name] = QueryResult(question, columns, rows)
    return found


def is_number(column: str, value: object) -> bool:
    """Return True if the value is a quantity, which a table aligns to the right."""
    return isinstance(value, int | float) and column != "weekday"


def shown(column: str, value: Any) -> str:
    """Return a value as a person reads it; the column's name has its unit."""
    if value is None:
        return _WHOLE.get(column, "")
    if column == "weekday":
        return _WEEKDAYS[value]
    if column == "hour_of_day":
        return f"{value:02d}:00"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.{_digits(column, value)}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def heading(column: str) -> str:
    """Return a column's name as a person reads it."""
    return " ".join(_UNITS.get(word, word) for word in column.split("_"))


def _digits(column: str, value: float) -> int:
    """Return digits after the point that are worth reading."""
    if "usd" in column:
        return 2 if abs(value) >= 1 or value == 0 else 4
    return 2 if column.endswith(("_percent", "_hours", "percent_of_stage")) else 1
