"""The named queries: what they ask, and how DuckDB is asked the same."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

# In the order of a report.
_NAMES = (
    "summary",
    "throughput",
    "end_to_end",
    "stage_latency",
    "error_rates",
    "model_comparison",
    "busiest_hours",
    "cost_per_1000_images",
    "data_quality",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A named query, as its file has it.

    Parameters
    ----------
    name
        The file's, without `.sql`.
    title
        The file's first line.
    description
        The comment lines below it.
    sql
        The whole file, in Athena's dialect.
    """

    name: str
    title: str
    description: str
    sql: str


def questions() -> list[Question]:
    """Return all named queries, in the order of a report."""
    return [_question(name) for name in _NAMES]


def _question(name: str) -> Question:
    sql = files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
    comment = [line[3:] for line in sql[: sql.index("\nWITH ")].splitlines()]
    return Question(name, comment[0], " ".join(comment[1:]), sql)


def prices() -> dict[str, float]:
    """Return the figures of the costs by name: US dollars, and months of storage."""
    return {
        price.alias: float(price.this.this.this)
        for question in questions()
        for price in _price_list(sqlglot.parse_one(question.sql, read="athena"))
    }


def in_duckdb(
    sql: str, *, since: dt.date | None = None, paid: Mapping[str, float] | None = None
) -> str:
    """Return the query in DuckDB's dialect.

    Parameters
    ----------
    sql
        In Athena's.
    since
        First day of the window; what the file says if None.
    paid
        Prices in the place of the file's, by name.

    Notes
    -----
    Percentiles are exact here: of n sorted values the one at ceil(p * n).
    """

    def local(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.ApproxQuantile):
            return exp.func("quantile_disc", node.this, node.args["quantile"])
        if since and isinstance(node, exp.Sub) and isinstance(node.this, exp.CurrentDate):
            return exp.cast(exp.Literal.string(since.isoformat()), "date")
        return node

    tree = sqlglot.parse_one(sql, read="athena")
    for price in _price_list(tree):
        if paid and price.alias in paid:
            price.set("this", exp.Literal.number(paid[price.alias]))
    return tree.transform(local).sql("duckdb")


def _price_list(tree: exp.Expr) -> list[exp.Alias]:
    for table in tree.find_all(exp.CTE):
        if table.alias == "prices":
            return list(table.this.expressions)
    return []
