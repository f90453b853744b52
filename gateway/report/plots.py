"""The plots of a report."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from gateway.report.answers import shown
from gateway.report.svg import BAD, FIRST, GOOD, GRID, INK, SECOND, THIRD, WARN, svg
from gateway.schemas.telemetry import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from gateway.report.answers import QueryResult

    _Rows = Sequence[dict[str, Any]]
    # Draws rows into axes, and says in words what they show.
    _Drawing = Callable[..., str]

_REASONS = 8
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
# Points in time beyond which they are drawn without a gap or a dot.
_MANY = 72


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of an answer.

    Parameters
    ----------
    title
        The subject of the plot.
    svg
        An `svg` element, with a title and a description for those who do not see it.
    """

    title: str
    svg: str


def plots(answers: Mapping[str, QueryResult]) -> list[Plot]:
    """Return the pictures of those answers that have something to show."""
    rows = {name: answer.records() for name, answer in answers.items()}
    latency, total = rows["stage_latency"], Stage.TOTAL
    drawn: list[tuple[str, _Drawing, _Rows]] = [
        ("Submissions by hour", _throughput, rows["throughput"]),
        (
            "End-to-end time by hour",
            _end_to_end,
            [row for row in latency if row["hour"] is not None and row["stage"] == total],
        ),
        ("Time by stage", _stages, [row for row in latency if row["hour"] is None]),
        (
            "What did not succeed, by reason",
            _reasons,
            [row for row in rows["error_rates"] if row["stage"] == total][:_REASONS],
        ),
        ("Busiest hours of the week", _busiest, rows["busiest_hours"]),
        (
            "Cost per 1000 images by day",
            _cost,
            [row for row in rows["cost_per_1000_images"] if row["day"] and row["images"]],
        ),
    ]
    return [
        Plot(title, svg(title, partial(draw, rows=those))) for title, draw, those in drawn if those
    ]


def _throughput(axes: Axes, rows: _Rows) -> str:
    hours = [row["hour"] for row in rows]
    base = [0] * len(rows)
    for column, colour in (("succeeded", GOOD), ("refused", WARN), ("errors", BAD)):
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


def _end_to_end(axes: Axes, rows: _Rows) -> str:
    for column, colour in (("p50_ms", FIRST), ("p95_ms", THIRD), ("p99_ms", INK)):
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
    slowest = max(row["p95_ms"] for row in rows)
    return f"The 95th percentile of an hour is at most {shown('p95_ms', slowest)} ms."


def _stages(axes: Axes, rows: _Rows) -> str:
    overall = {row["stage"]: row for row in rows}
    known = [stage.value for stage in Stage if stage.value in overall]
    axes.barh(known, [overall[stage]["p95_ms"] for stage in known], color=SECOND, label="p95")
    axes.barh(
        known,
        [overall[stage]["p50_ms"] for stage in known],
        height=0.4,
        color=FIRST,
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


def _reasons(axes: Axes, rows: _Rows) -> str:
    codes = [row["error_code"] for row in rows]
    colours = [BAD if row["status"] == "error" else WARN for row in rows]
    axes.barh(codes, [row["events"] for row in rows], color=colours)
    for place, row in enumerate(rows):
        share = shown("percent_of_stage", row["percent_of_stage"])
        _beside(axes, row["events"], place, f"{row['events']:,} ({share} %)")
    _lying(axes)
    axes.set_xlabel("submissions (share of all)")
    return "; ".join(f"{row['error_code']} {row['events']:,}" for row in rows)


def _busiest(axes: Axes, rows: _Rows) -> str:
    most = max(row["submissions"] for row in rows)
    for day in range(1, 8):
        axes.axhspan(day - 0.425, day + 0.425, color=GRID, alpha=0.35, linewidth=0)
    for row in rows:
        axes.barh(
            row["weekday"],
            0.9,
            left=row["hour_of_day"] + 0.05,
            height=0.85,
            color=FIRST,
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


def _cost(axes: Axes, rows: _Rows) -> str:
    days = [dt.datetime.combine(row["day"], dt.time()) for row in rows]
    costs = [row["usd_per_1000_images"] for row in rows]
    axes.bar(
        [day + _DAY / 2 for day in days],  # type: ignore[arg-type]  # dates are drawn too
        costs,
        width=0.8,
        color=FIRST,
    )
    axes.set_ylabel("USD")
    _time_axis(axes, days, _DAY)
    return f"Between {min(costs):,.4g} and {max(costs):,.4g} USD."


# --- what they have in common ---------------------------------------------------------------------


def _time_axis(axes: Axes, times: Sequence[dt.datetime], unit: dt.timedelta) -> None:
    """Show twelve units at least, so that one alone is not as wide as the plot."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]  # has no types
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # as above
    last = max(times) + 1.5 * unit
    first = min(min(times) - unit / 2, last - 12 * unit)
    axes.set_xlim(first, last)  # type: ignore[arg-type]  # dates


def _with_gaps(
    points: Sequence[tuple[dt.datetime, float]],
) -> tuple[list[dt.datetime], list[float]]:
    """Return the points, and one of no value in each gap, which no line shall cross."""
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
    """Draw lying bars, the first at the top, with room for their figures."""
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.margins(x=0.25)
    axes.set_xlim(left=0)


def _beside(axes: Axes, end: float, place: int, text: str) -> None:
    """Write the text to the right of a lying bar that ends there."""
    axes.annotate(text, (end, place), (4, 0), textcoords="offset points", va="center")


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
