"""How our panels and dashboards look; what they show is in the modules beside this one."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphGradientMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grafana_foundation_sdk.models.dashboard import Dashboard

    Panel = stat.Panel | timeseries.Panel | heatmap.Panel
    Variable = builders.QueryVariable | builders.TextBoxVariable

_DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

# What stands in the braces of a query. On one machine there is no namespace: "All" is the regular
# expression .*, which a label that is not there matches too.
_SELECTORS = {
    "GATEWAY": 'namespace=~"$namespace", instance=~"$instance"',
    "TRITON": 'namespace=~"$namespace", model=~"$model"',
    "NAMESPACE": 'namespace=~"$namespace"',
    "INCOMING": 'method="POST", route=~"/v1/studies|/dicomweb/studies(/.*)?"',
}


def figure(
    title: str,
    description: str,
    unit: str,
    query: str,
    *,
    legend: str = "",
    decimals: int | None = None,
    bad_from: float | None = None,
    good_from: float | None = None,
) -> stat.Panel:
    """One number for the whole of the time shown, or one for each series.

    Parameters
    ----------
    unit
        Grafana's name of it.
    bad_from, good_from
        From where on the number is red, or green and red below.
    """
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(_DATASOURCE)
        .unit(unit)
        .span(4)
        .height(4)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(bad_from, good_from))
        .with_target(_target(query, legend).instant())
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    description: str,
    unit: str,
    queries: Mapping[str, str],
    *,
    span: int = 8,
    stacked: bool = False,
    repeat: str | None = None,
) -> timeseries.Panel:
    """Series over time: queries by their legend."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_DATASOURCE)
        .unit(unit)
        .span(span)
        .height(8)
        .min(0)
        .line_width(1)
        .fill_opacity(40 if stacked else 10)
        .gradient_mode(GraphGradientMode.NONE)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["mean", "max", "lastNotNull"])
        )
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
    )
    for number, (legend, query) in enumerate(queries.items()):
        panel.with_target(_target(query, legend, ref=chr(ord("A") + number)).range())
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if repeat:
        panel.repeat(repeat).repeat_direction("h")
    return panel


def heat_map(title: str, description: str, query: str) -> heatmap.Panel:
    """How many observations of a histogram in seconds fell into each bucket over time."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(_DATASOURCE)
        .span(8)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .exponent(0.5)
            .steps(64)
        )
        .scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LINEAR))
        .cell_gap(1)
        .show_legend()
        .show_tooltip()
        .with_target(_target(query, "{{le}}").range().format(PromQueryFormat.HEATMAP))
    )


def dashboard_of(
    uid: str,
    title: str,
    description: str,
    rows: Mapping[str, list[Panel]],
    *,
    variables: tuple[Variable, ...] = (),
) -> Dashboard:
    """A dashboard: panels by the title of their row, and what can be chosen at its top."""
    made = (
        builders.Dashboard(f"RadStream / {title}")
        .uid(f"radstream-{uid}")
        .description(description)
        .tags(["radstream"])
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("RadStream")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["radstream"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(
            builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
        .with_variable(
            values_of("namespace", "Namespace", "label_values(radstream_build_info, namespace)")
        )
    )
    for variable in variables:
        made.with_variable(variable)
    number = itertools.count(1)
    for name, panels in rows.items():
        made.with_row(builders.Row(name).id(next(number)))
        for panel in panels:
            made.with_panel(panel.id(next(number)))
    return made.build()


def values_of(name: str, label: str, query: str) -> builders.QueryVariable:
    """A choice among a label's values; all of them at first."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(_DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        # Chosen even where there is nothing to choose from, such as namespaces on one machine.
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def instances() -> builders.QueryVariable:
    """A choice among the gateways."""
    query = 'label_values(radstream_build_info{namespace=~"$namespace"}, instance)'
    return values_of("instance", "Gateway", query)


def to_json(dashboard: Dashboard) -> str:
    """The document that Grafana loads."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _target(query: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    for name, selector in _SELECTORS.items():
        query = query.replace(name, selector)
    return (
        prometheus.Dataquery()
        .expr(query)
        .legend_format(legend or "__auto")
        .ref_id(ref)
        .datasource(_DATASOURCE)
    )


def _thresholds(bad_from: float | None, good_from: float | None) -> builders.ThresholdsConfig:
    steps = [Threshold(value=None, color="text")]
    if bad_from is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=bad_from, color="red")]
    if good_from is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=good_from, color="green")]
    return builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
