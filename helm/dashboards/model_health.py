"""Model health: what models are sent and say now, against their reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helm.dashboards.panels import dashboard_of, figure, lines, values_of

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from helm.dashboards.panels import Panel

# Every gateway shows what it has read of the store last: they agree but for a sweep.
_SIGNAL = 'max by (model, version, signal) (radstream_model_signal{{TRITON, signal=~"{signals}"}})'


def dashboard() -> Dashboard:
    """The dashboard for who answers for models in their place."""
    model = values_of(
        "model",
        "Model",
        'label_values(radstream_monitored_readings{namespace=~"$namespace"}, model)',
    )
    return dashboard_of(
        "model-health",
        "Model health",
        "Drift of each model version from its reference: of its input, of acquisition and "
        "patients, and of its output. 1 is the limit, from which on a signal is in alarm.",
        {"At a glance": _glance(), "Drift": _drift()},
        variables=(model,),
    )


def _glance() -> list[Panel]:
    return [
        figure(
            "Alarms",
            "Signals in alarm now, of all models chosen.",
            "short",
            "sum(max by (model, version, signal) (radstream_model_drift_alarm{TRITON}))",
            bad_from=1,
        ),
        figure(
            "Silent versions",
            "1 where a stop rule has silenced a version: its findings are shown and delivered "
            "nowhere until a person arms it again.",
            "short",
            "max by (model, version) (radstream_model_silent{TRITON})",
            legend="{{model}} {{version}}",
            bad_from=1,
        ),
        figure(
            "Broken stop rules",
            "1 where the health of a version is beyond the stop rule; empty without stop rules.",
            "short",
            "max by (model, version, rule) (radstream_stop_rule_broken{TRITON})",
            legend="{{rule}}: {{model}} {{version}}",
            bad_from=1,
        ),
        figure(
            "References",
            "1 where a version has a whole reference; 0 where it has not been read often enough.",
            "short",
            "max by (model, version) (radstream_model_reference_whole{TRITON})",
            legend="{{model}} {{version}}",
        ),
        figure(
            "Readings",
            "Readings of a version that are merged.",
            "short",
            "max by (model, version) (radstream_monitored_readings{TRITON})",
            legend="{{model}} {{version}}",
            decimals=0,
        ),
        figure(
            "Readings not counted",
            "Over the time shown: the store did not take them, or they came late.",
            "short",
            "sum(increase(radstream_monitoring_dropped_readings_total{NAMESPACE}[$__range]))",
            decimals=0,
            bad_from=1,
        ),
    ]


def _drift() -> list[Panel]:
    rows = {
        "Input": (
            "mean|deviation|entropy|saturation|border",
            "The model's input. A change of all means other processing or another detector.",
        ),
        "Acquisition and patients": (
            "device|exposure_index|size|view|age_band|sex|hour",
            "Equipment, protocol and patients.",
        ),
        "Output": (
            "probability/.*|positive/.*|near/.*|not_applicable",
            (
                "Probabilities, shares of findings that are positive or near the threshold, share "
                "of readings that are not applicable. These alone: other diseases, or another "
                "model."
            ),
        ),
        "Unusual readings": (
            "unusual/.*",
            (
                "Evidence that more readings lie outside of the reference: gross changes show here "
                "first."
            ),
        ),
    }
    return [
        lines(
            title,
            description,
            "short",
            {"{{model}} {{version}} {{signal}}": _SIGNAL.format(signals=signals)},
            span=12,
        )
        for title, (signals, description) in rows.items()
    ]
