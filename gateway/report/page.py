"""A report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import string
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway.report.answers import heading, is_number, shown
from gateway.report.plots import plots
from gateway.report.questions import prices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.report.answers import QueryResult


def page(
    answers: Mapping[str, QueryResult],
    about: str,
    paid: Mapping[str, float],
    *,
    gateway_url: str,
) -> str:
    """Return the page: the few figures that matter, then plots, then all rows of all answers.

    Parameters
    ----------
    answers
        By name, in the order of the page.
    about
        A sentence on their source.
    paid
        Prices that were asked with instead of the queries' own.
    gateway_url
        Address of the gateway, in whose console studies open from the page.
    """
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    pictures = [
        f"<figure>\n<figcaption>{escape(plot.title)}</figcaption>\n{plot.svg}</figure>"
        for plot in plots(answers)
    ]
    return string.Template(template).substitute(
        about=escape(about),
        figures="\n".join(_figures(answers)),
        plots="\n".join(pictures),
        tables="\n".join(_section(answer, paid, gateway_url) for answer in answers.values()),
    )


def _figures(answers: Mapping[str, QueryResult]) -> Iterator[str]:
    [whole] = answers["summary"].records()
    cost = next(row for row in answers["cost_per_1000_images"].records() if row["day"] is None)
    yield _figure(
        "Studies", shown("", whole["studies"]), "",
        f"{whole['submissions']:,} submissions, {whole['images']:,} images read",
    )  # fmt: skip
    yield _figure(
        "End to end, p95", shown("p95_ms", whole["p95_ms"]), "ms",
        f"median {shown('p50_ms', whole['p50_ms'])} ms, p99 {shown('p99_ms', whole['p99_ms'])} ms",
    )  # fmt: skip
    yield _figure(
        "Error rate", shown("error_percent", whole["error_percent"]), "%",
        f"{whole['errors']:,} errors; {whole['refused']:,} submissions "
        f"({shown('refused_percent', whole['refused_percent'])} %) refused for the sender to mend",
    )  # fmt: skip
    yield _figure(
        "Cost per 1000 images", shown("usd", cost["usd_per_1000_images"]), "USD",
        f"over {shown('instance_hours', cost['instance_hours'])} hours of gateways, at the prices "
        "below",
    )  # fmt: skip


def _figure(name: str, value: str, unit: str, note: str) -> str:
    return (
        f"<div><dt>{escape(name)}</dt>"
        f'<dd class="value">{escape(value) or "none"} <span class="unit">{escape(unit)}</span></dd>'
        f'<dd class="note">{escape(note)}</dd></div>'
    )


def _section(answer: QueryResult, paid: Mapping[str, float], gateway_url: str) -> str:
    question = answer.question
    description = question.description
    if question.name == "cost_per_1000_images":
        listed = ", ".join(f"{name} {value:g}" for name, value in {**prices(), **paid}.items())
        description += f" Prices: {listed}."
    rows = "".join(_rows(answer, gateway_url))
    return (
        f'<section>\n<h2 id="{question.name}">{escape(question.title)}</h2>\n'
        f"<p>{escape(description)}</p>\n"
        # To be scrolled by keyboard as well.
        f'<div class="table" tabindex="0" role="region" aria-labelledby="{question.name}">\n'
        f"<table>\n{_head(answer)}\n<tbody>\n{rows}</tbody>\n</table>\n"
        "</div>\n</section>"
    )


def _head(answer: QueryResult) -> str:
    cells = []
    for place, column in enumerate(answer.columns):
        number = any(is_number(column, row[place]) for row in answer.rows)
        name = ' class="number"' if number else ""
        cells.append(f'<th scope="col"{name}>{escape(heading(column))}</th>')
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _rows(answer: QueryResult, gateway_url: str) -> Iterator[str]:
    for row in answer.rows:
        values = zip(answer.columns, row, strict=True)
        cells = (_cell(name, value, gateway_url) for name, value in values)
        yield f"<tr>{''.join(cells)}</tr>\n"


def _cell(column: str, value: Any, gateway_url: str) -> str:
    name = ' class="number"' if is_number(column, value) else ""
    text = escape(shown(column, value))
    if column == "study_id":
        address = f"{gateway_url.rstrip('/')}/console/studies/{quote(value, safe='')}"
        text = f'<a href="{escape(address)}">{text}</a>'
    return f"<td{name}>{text}</td>"
