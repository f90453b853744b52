"""Ingestion and telemetry: what lies in the drop folder, and what is told of studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helm.dashboards.panels import dashboard_of, figure, instances, lines

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from helm.dashboards.panels import Panel


def dashboard() -> Dashboard:
    """The dashboard for who connects senders and analyses studies."""
    return dashboard_of(
        "ingestion",
        "Ingestion and telemetry",
        "What waits and what was given up in the drop folder; what telemetry sends, keeps and "
        "loses.",
        {
            "At a glance": _glance(),
            "Ways in": _ways_in(),
            "Answered before they are read": _backlog(),
            "Delivery of results": _delivery(),
            "Telemetry": _telemetry(),
        },
        variables=(instances(),),
    )


def _glance() -> list[Panel]:
    return [
        figure(
            "Halves that wait",
            "Images and sidecars whose other half has not come.",
            "short",
            "max(radstream_dropfolder_waiting{GATEWAY})",
        ),
        figure(
            "Parked",
            "Objects that were given up; `radstream parked list` has what to mend.",
            "short",
            "max(radstream_dropfolder_parked{GATEWAY})",
            bad_from=1,
        ),
        figure(
            "Accepted, not yet processed",
            "Studies whose senders were told 202 and whose result is not there yet.",
            "short",
            "max(radstream_pending_studies{GATEWAY})",
        ),
        figure(
            "Events made",
            "Telemetry events, several for each study.",
            "cps",
            "sum(rate(radstream_telemetry_queued_total{GATEWAY}[$__rate_interval]))",
        ),
        figure(
            "On disk",
            "Telemetry that waits in the spools for its sink. Above 0 for minutes: the sink is "
            "away or too slow.",
            "bytes",
            "sum(radstream_telemetry_spool_bytes{GATEWAY})",
            bad_from=1,
        ),
        figure(
            "Events lost",
            "Telemetry records dropped over the time shown.",
            "short",
            "sum(increase(radstream_telemetry_dropped_total{GATEWAY}[$__range]))",
            decimals=0,
            bad_from=1,
        ),
    ]


def _ways_in() -> list[Panel]:
    return [
        lines(
            "Studies by way in",
            "Studies that ended, by the way they came.",
            "cps",
            {
                "{{route}}": "sum by (route) "
                "(rate(radstream_studies_total{GATEWAY}[$__rate_interval]))"
            },
        ),
        lines(
            "Deliveries of the drop folder",
            "Objects delivered, by way in and outcome. processed and duplicate are good, waiting "
            "is one half of two.",
            "cps",
            {
                "{{route}} {{outcome}}": "sum by (route, outcome) "
                "(rate(radstream_dropfolder_deliveries_total{GATEWAY}[$__rate_interval]))"
            },
        ),
        lines(
            "Waiting and parked",
            "Halves without the other, and objects given up, as of the last sweep. Every replica "
            "counts the same folder.",
            "short",
            {
                "waiting": "max(radstream_dropfolder_waiting{GATEWAY})",
                "parked": "max(radstream_dropfolder_parked{GATEWAY})",
            },
        ),
        lines(
            "Freshness",
            "Share of the dropped and of the deferred studies that had their result within a "
            "minute of their acceptance, by way in. The objective is 95 %.",
            "percentunit",
            {
                "{{route}}": "sum by (route) (rate("
                'radstream_study_freshness_seconds_bucket{GATEWAY, le="60.0"}[$__rate_interval]))'
                " / sum by (route) "
                "(rate(radstream_study_freshness_seconds_count{GATEWAY}[$__rate_interval]))"
            },
            span=12,
        ),
        lines(
            "Age of the oldest",
            "Seconds since the oldest accepted study, half without the other, parked item and "
            "callback came, as of the last sweep.",
            "s",
            {
                name: f"max(radstream_{metric}_oldest_age_seconds{{GATEWAY}})"
                for name, metric in {
                    "accepted": "pending_studies",
                    "waiting": "dropfolder_waiting",
                    "parked": "dropfolder_parked",
                    "callback": "pending_callbacks",
                }.items()
            },
            span=12,
        ),
        lines(
            "Studies by caller",
            "Studies that ended, by the name of their sender's key: oidc for tokens, dropfolder "
            "for whoever drops files.",
            "cps",
            {
                "{{caller}}": "sum by (caller) "
                "(rate(radstream_caller_studies_total{GATEWAY}[$__rate_interval]))"
            },
            span=12,
        ),
        lines(
            "Studies that failed, by caller",
            "By the name of their sender's key and the outcome.",
            "cps",
            {
                "{{caller}} {{outcome}}": "sum by (caller, outcome) "
                "(rate(radstream_caller_studies_total{GATEWAY, "
                'outcome!~"completed|partial|replayed|cancelled"}[$__rate_interval]))'
            },
            span=12,
        ),
        lines(
            "Images by what the rules say",
            "Decisions of the routing document by outcome. no_rule and kept_out are refused: "
            "`radstream rules explain` says why.",
            "cps",
            {
                "{{outcome}}": "sum by (outcome) "
                "(rate(radstream_routed_images_total{GATEWAY}[$__rate_interval]))"
            },
            span=24,
        ),
    ]


def _backlog() -> list[Panel]:
    return [
        lines(
            "Accepted, not yet processed",
            "Studies whose senders were told 202, and callbacks that nobody has taken, as of the "
            "last sweep. Every replica counts the same store.",
            "short",
            {
                "studies": "max(radstream_pending_studies{GATEWAY})",
                "callbacks": "max(radstream_pending_callbacks{GATEWAY})",
            },
            span=12,
        ),
        lines(
            "Callbacks",
            "Attempts by outcome: refused is tried again, given_up is parked.",
            "cps",
            {
                "{{outcome}}": "sum by (outcome) "
                "(rate(radstream_callbacks_total{GATEWAY}[$__rate_interval]))"
            },
            span=12,
        ),
    ]


def _delivery() -> list[Panel]:
    return [
        lines(
            "Results for destinations",
            "Results that a destination has not acknowledged, and parked ones, as of the last "
            "sweep. Every replica counts the same store.",
            "short",
            {
                "{{destination}} {{state}}": "max by (destination, state) "
                "(radstream_delivery_items{GATEWAY})"
            },
        ),
        lines(
            "Oldest result",
            "Seconds since the oldest result came that a destination has not acknowledged, as of "
            "the last sweep.",
            "s",
            {
                "{{destination}}": "max by (destination) "
                "(radstream_delivery_oldest_age_seconds{GATEWAY})"
            },
        ),
        lines(
            "Attempts",
            "Attempts to bring results, by outcome: unanswered and not_held are tried again, "
            "refused and withheld are parked.",
            "cps",
            {
                "{{destination}} {{outcome}}": "sum by (destination, outcome) "
                "(rate(radstream_delivery_attempts_total{GATEWAY}[$__rate_interval]))"
            },
        ),
    ]


def _telemetry() -> list[Panel]:
    return [
        lines(
            "Made and sent",
            "Events that the gateways made, and records that the sink took. Sent below made: the "
            "rest waits in memory or on disk.",
            "cps",
            {
                name: f"sum(rate(radstream_telemetry_{metric}_total{{GATEWAY}}[$__rate_interval]))"
                for name, metric in {"made": "queued", "sent": "sent"}.items()
            },
        ),
        lines(
            "Retried, spooled, replayed, lost",
            "Records sent again after a refusal (a steady rise wants more shards), put on disk, "
            "and taken from it by the sink; and records lost, by reason.",
            "cps",
            {
                **{
                    name: f"sum(rate(radstream_telemetry_{name}_total{{GATEWAY}}"
                    "[$__rate_interval]))"
                    for name in ("retried", "spooled", "replayed")
                },
                "lost: {{reason}}": "sum by (reason) "
                "(rate(radstream_telemetry_dropped_total{GATEWAY}[$__rate_interval]))",
            },
        ),
        lines(
            "Waiting records",
            "Memory and disk that records take until the sink has them; both are bounded.",
            "bytes",
            {
                "in memory": "sum(radstream_telemetry_queue_bytes{GATEWAY})",
                "on disk": "sum(radstream_telemetry_spool_bytes{GATEWAY})",
            },
        ),
    ]
