"""A report as text.

Not rich or tabulate: plain columns of text need no dependency.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from gateway.report.answers import QueryResult, heading, is_number, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The page has all rows; a terminal the first ones, or of an answer in time the last.
_ROWS = 24
_WIDTH = 100


def lines(answers: Mapping[str, QueryResult], about: str) -> Iterator[str]:
    """Yield all answers, one below the other, under what is said about their source."""
    yield f"RadStream: {about}"
    for answer in answers.values():
        yield ""
        yield answer.question.title.upper()
        yield from textwrap.wrap(answer.question.description, _WIDTH)
        yield ""
        yield from _facts(answer) if answer.question.name == "summary" else _table(answer)


def _facts(answer: QueryResult) -> Iterator[str]:
    """Yield one row, a line a value."""
    [row] = answer.rows
    width = max(len(heading(column)) for column in answer.columns)
    for column, value in zip(answer.columns, row, strict=True):
        yield f"  {heading(column):<{width}}  {shown(column, value)}"


def _table(answer: QueryResult) -> Iterator[str]:
    rows, left_out = _excerpt(answer)
    cells = [[heading(column) for column in answer.columns]]
    cells += [
        [shown(column, value) for column, value in zip(answer.columns, row, strict=True)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        any(is_number(column, row[place]) for row in rows)
        for place, column in enumerate(answer.columns)
    ]
    for place, line in enumerate(cells):
        yield "  " + _line(line, widths, right)
        if place == 0:
            yield "  " + "  ".join("-" * width for width in widths)
    if not rows:
        yield "  nothing"
    if left_out:
        yield f"  … and {left_out} more rows: --html has them"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ).rstrip()


def _excerpt(answer: QueryResult) -> tuple[Sequence[tuple[Any, ...]], int]:
    """Return the rows to show, and how many are left out."""
    left_out = max(0, len(answer.rows) - _ROWS)
    if answer.columns[0] not in {"hour", "day"}:
        return answer.rows[:_ROWS], left_out
    # The rows over the whole window come first and stay.
    whole = [row for row in answer.rows if row[0] is None]
    latest = [row for row in answer.rows if row[0] is not None][left_out:]
    return [*whole, *latest], left_out
