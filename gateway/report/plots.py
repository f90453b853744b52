"""The plots of a report: SVG that takes its colours from the page it stands in."""

from __future__ import annotations

import datetime as dt
import html
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from gateway.report.answers import shown
from gateway.schemas.telemetry import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from gateway.report.answers import Answer

# Stand-ins that the drawn SVG has in the place of the page's own colours.
_INK, _GRID, _GOOD, _WARN, _BAD, _FIRST, _SECOND, _THIRD = (f"#00000{n}" for n in range(1, 9))
_PAGE_COLOURS = {
    _INK: "var(--ink-soft)",
    _GRID: "var(--grid)",
    _GOOD: "var(--good)",
    _WARN: "var(--warn)",
    _BAD: "var(--bad)",
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
    _THIRD: "var(--third)",
}
_STYLE: dict[Any, Any] = {  # matplotlib's type of it lists every parameter there is
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "ytick.left": False,
    "legend.frameon": False,
}
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
# Points in time beyond which they are drawn without a gap or a dot.
_MANY = 72


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of an answer.

    Parameters
    ----------
    name
        Of the answer.
    title
        What it shows.
    svg
        An `svg` element, with a title and a description for those who do not see it.
    """

    name: str
    title: str
    svg: str


def plots(answers: Mapping[str, Answer]) -> list[Plot]:
    """The pictures of those answers that have something to show."""
    drawn: list[tuple[str, str, Callable[[Axes, Any], str]]] = [
        ("throughput", "Submissions by hour", _throughput),
        ("stage_latency", "End-to-end time by hour", _end_to_end),
        ("stage_latency", "Time by stage", _stages),
        ("error_rates", "What did not succeed, by reason", _reasons),
        ("busiest_hours", "Busiest hours of the week", _busiest),
        ("cost_per_1000_images", "Cost per 1000 images by day", _cost),
    ]
    return [
        Plot(name, title, _svg(title, draw, answers[name].records()))
        for name, title, draw in drawn
        if answers[name].rows
    ]


def _throughput(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    hours = [row["hour"] for row in rows]
    base = [0] * len(rows)
    for column, colour in (("succeeded", _GOOD), ("refused", _WARN), ("errors", _BAD)):
        counts = [row[column] for row in rows]
        axes.bar(
            [hour + _HOUR / 2 for hour in hours],
            counts,
            width=(0.9 if len(hours) <= _MANY else 1.0) * _HOUR / _DAY,
            bottom=base,
            color=colour,
            label=column,
        )
        base = [below + count for below, count in zip(base, counts, strict=True)]
    _time_axis(axes, hours, _HOUR)
    _legend(axes)
    return f"At most {max(base):,} submissions in an hour."


def _end_to_end(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    rows = [row for row in rows if row["stage"] == Stage.TOTAL and row["hour"] is not None]
    for column, colour in (("p50_ms", _FIRST), ("p95_ms", _THIRD), ("p99_ms", _INK)):
        times, values = _with_gaps([(row["hour"] + _HOUR / 2, row[column]) for row in rows])
        label = column.removesuffix("_ms")
        marker = "o" if len(rows) <= _MANY else ""
        axes.plot(
            times,  # type: ignore[arg-type]  # dates are drawn too
            values,
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1.4,
            label=label,
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("ms")
    _time_axis(axes, [row["hour"] for row in rows], _HOUR)
    _legend(axes)
    slowest = max((row["p95_ms"] for row in rows), default=None)
    return f"The 95th percentile of an hour is at most {shown('p95_ms', slowest)} ms."


def _stages(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    overall = {row["stage"]: row for row in rows if row["hour"] is None}
    known = [stage.value for stage in Stage if stage.value in overall]
    axes.barh(known, [overall[stage]["p95_ms"] for stage in known], color=_SECOND, label="p95")
    axes.barh(
        known,
        [overall[stage]["p50_ms"] for stage in known],
        height=0.4,
        color=_FIRST,
        label="p50",
    )
    for place, stage in enumerate(known):
        row = overall[stage]
        text = f"{shown('p50_ms', row['p50_ms'])} / {shown('p95_ms', row['p95_ms'])}"
        _beside(axes, row["p95_ms"], place, text)
    _lying(axes)
    axes.set_xlabel("ms, p50 / p95")
    _legend(axes)
    return "; ".join(f"{stage} {shown('p95_ms', overall[stage]['p95_ms'])} ms" for stage in known)


def _reasons(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    worst = [row for row in rows if row["stage"] == Stage.TOTAL][:8]
    codes = [row["error_code"] for row in worst]
    colours = [_BAD if row["status"] == "error" else _WARN for row in worst]
    axes.barh(codes, [row["events"] for row in worst], color=colours)
    for place, row in enumerate(worst):
        share = shown("percent_of_stage", row["percent_of_stage"])
        _beside(axes, row["events"], place, f"{row['events']:,} ({share} %)")
    _lying(axes)
    axes.set_xlabel("submissions (share of all)")
    return "; ".join(f"{row['error_code']} {row['events']:,}" for row in worst)


def _busiest(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    most = max(row["submissions"] for row in rows)
    for day in range(1, 8):
        axes.axhspan(day - 0.425, day + 0.425, color=_GRID, alpha=0.35, linewidth=0)
    for row in rows:
        axes.barh(
            row["weekday"],
            0.9,
            left=row["hour_of_day"] + 0.05,
            height=0.85,
            color=_FIRST,
            alpha=0.15 + 0.85 * row["submissions"] / most,
        )
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 3), [f"{hour:02d}" for hour in range(0, 25, 3)])
    axes.set_yticks(range(1, 8), [shown("weekday", day) for day in range(1, 8)])
    axes.set_ylim(7.6, 0.4)
    axes.grid(visible=False)
    axes.set_xlabel("hour of the day, UTC; the stronger the colour, the more submissions")
    top = rows[0]
    when = f"{shown('weekday', top['weekday'])} {shown('hour_of_day', top['hour_of_day'])}"
    return f"The busiest is {when} with {top['submissions']:,} submissions."


def _cost(axes: Axes, rows: Sequence[dict[str, Any]]) -> str:
    days = [
        row | {"day": dt.datetime.combine(row["day"], dt.time())}
        for row in rows
        if row["day"] and row["usd_per_1000_images"] is not None
    ]
    costs = [row["usd_per_1000_images"] for row in days]
    axes.bar([row["day"] + _DAY / 2 for row in days], costs, width=0.8, color=_FIRST)
    axes.set_ylabel("USD")
    _time_axis(axes, [row["day"] for row in days], _DAY)
    return f"Between {min(costs):,.4g} and {max(costs):,.4g} USD." if costs else "No images."


# --- what they have in common ---------------------------------------------------------------------


def _svg(title: str, draw: Callable[[Axes, Any], str], rows: Sequence[dict[str, Any]]) -> str:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(6.2, 2.6), layout="constrained")
        description = draw(figure.add_subplot(), rows)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(file.getvalue(), title, description)


def _embedded(document: str, title: str, description: str) -> str:
    """The `svg` element alone, with ids of its own, in the page's colours and as wide as it may."""
    prefix = re.sub(r"\W+", "-", title.lower())
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<0>{prefix}-", element)
    for stand_in, colour in _PAGE_COLOURS.items():
        element = element.replace(stand_in, colour)
    element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
    element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
    label = f'role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    told = (
        f'<title id="{prefix}-title">{html.escape(title)}</title>'
        f'<desc id="{prefix}-desc">{html.escape(description)}</desc>'
    )
    return re.sub(r"<svg([^>]*)>", lambda found: f"<svg {label}{found[1]}>{told}", element, count=1)


def _time_axis(axes: Axes, times: Sequence[dt.datetime], unit: dt.timedelta) -> None:
    """Twelve units at least, so that one alone is not as wide as the plot."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]  # has no types
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    if times:
        last = max(times) + 1.5 * unit
        first = min(min(times) - unit / 2, last - 12 * unit)
        axes.set_xlim(first, last)  # type: ignore[arg-type]  # dates


def _with_gaps(
    points: Sequence[tuple[dt.datetime, float]],
) -> tuple[list[dt.datetime], list[float]]:
    """The points, and one of no value in each gap, which no line shall cross."""
    times: list[dt.datetime] = []
    values: list[float] = []
    for time, value in points:
        if times and time - times[-1] > _HOUR:
            times.append(times[-1] + _HOUR)
            values.append(float("nan"))
        times.append(time)
        values.append(value)
    return times, values


def _lying(axes: Axes) -> None:
    """Bars that lie, the first at the top, with room for their figures."""
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.margins(x=0.25)
    axes.set_xlim(left=0)


def _beside(axes: Axes, end: float, place: int, text: str) -> None:
    """The text to the right of a lying bar that ends there."""
    axes.annotate(text, (end, place), (4, 0), textcoords="offset points", va="center")


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
