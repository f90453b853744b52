"""Service: do studies flow, how fast, and what holds them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.schemas.telemetry import Stage
from helm.dashboards.panels import dashboard_of, figure, heat_map, instances, lines

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from helm.dashboards.panels import Panel


def dashboard() -> Dashboard:
    """The dashboard to open first."""
    return dashboard_of(
        "service",
        "Service",
        "Whether studies flow, how fast they are answered, and where they wait.",
        {
            "At a glance": _glance(),
            "Rate and errors": _rate(),
            "Latency": _latency(),
            "Latency by stage": _stages(),
            "Saturation": _saturation(),
            "Admission": _admission(),
            "Access": _access(),
        },
        variables=(instances(),),
    )


def _glance() -> list[Panel]:
    return [
        figure(
            "Studies",
            "Studies that ended, whichever way they came and whatever became of them.",
            "cpm",
            "60 * sum(rate(radstream_studies_total{GATEWAY}[$__rate_interval]))",
        ),
        figure(
            "Answered without a fault of the gateway",
            "Share of the requests that bring studies whose answer was not a 5xx, over the time "
            "shown. The objective is 99.9 %.",
            "percentunit",
            '1 - (sum(increase(radstream_http_requests_total{GATEWAY, INCOMING, status=~"5.."}'
            "[$__range])) or vector(0)) / "
            'sum(increase(radstream_http_requests_total{GATEWAY, INCOMING, status!="499"}'
            "[$__range]))",
            decimals=3,
            good_from=0.999,
        ),
        figure(
            "95 % of studies within",
            "From a study's last byte to its stored result, over the time shown. The objective is "
            "a second.",
            "s",
            "histogram_quantile(0.95, sum by (le) "
            "(rate(radstream_study_seconds_bucket{GATEWAY}[$__range])))",
            bad_from=1,
        ),
        figure(
            "Being read now",
            "Studies between their last byte and their result.",
            "short",
            "sum(radstream_studies_in_flight{GATEWAY})",
        ),
        figure(
            "Models ready",
            "Model versions that are ready at every gateway that knows them.",
            "short",
            "sum(min by (model, version) (radstream_model_ready{GATEWAY}))",
            good_from=1,
        ),
        figure(
            "Alerts",
            "RadStream's alerts that are raised now; docs/operate.md has what to do about each.",
            "short",
            'count(ALERTS{NAMESPACE, alertname=~"RadStream.*", alertstate="firing"}) or vector(0)',
            bad_from=1,
        ),
    ]


def _rate() -> list[Panel]:
    return [
        lines(
            "Answers to senders",
            "Requests that bring studies, by status. 5xx is the gateway's fault, 4xx is the "
            "sender's to mend, 499 is a sender that left.",
            "reqps",
            {
                "{{status}}": "sum by (status) (rate("
                "radstream_http_requests_total{GATEWAY, INCOMING}[$__rate_interval]))"
            },
        ),
        lines(
            "Studies by outcome",
            "completed and replayed are good, of partial ones some images could not be processed, "
            "cancelled is a caller that left; any other outcome names the error.",
            "cps",
            {
                "{{outcome}}": "sum by (outcome) "
                "(rate(radstream_studies_total{GATEWAY}[$__rate_interval]))"
            },
        ),
        lines(
            "Error budgets burn",
            "How many times faster than allowed the error budgets of 30 days go, over the last "
            "hour. At 14.4 somebody is called.",
            "short",
            {
                "availability": "max(namespace_job:radstream_requests_failed:ratio_rate1h"
                "{NAMESPACE}) / 0.001",
                "latency": "max(namespace_job:radstream_studies_slow:ratio_rate1h{NAMESPACE})"
                " / 0.05",
                "freshness": "max(namespace_job:radstream_studies_late:ratio_rate1h{NAMESPACE})"
                " / 0.05",
            },
        ),
    ]


def _latency() -> list[Panel]:
    quantiles = {
        f"p{share * 100:.0f}": f"histogram_quantile({share}, sum by (le) "
        "(rate(radstream_study_seconds_bucket{GATEWAY}[$__rate_interval])))"
        for share in (0.5, 0.95, 0.99)
    }
    return [
        lines(
            "A study takes",
            "From its last byte to its stored result, for studies that got one.",
            "s",
            quantiles,
        ),
        lines(
            "95 % of each stage within",
            "The stage that grows is the one to mend: decode and tensor want cores, infer wants "
            "Triton, store the disk or bucket.",
            "s",
            {
                "{{stage}}": "histogram_quantile(0.95, sum by (stage, le) "
                "(rate(radstream_stage_seconds_bucket{GATEWAY}[$__rate_interval])))"
            },
        ),
        lines(
            "Where a study's time goes",
            "Seconds that a study spends in each stage on average; what they lack to the whole is "
            "waiting.",
            "s",
            {
                "{{stage}}": "sum by (stage) "
                "(rate(radstream_stage_seconds_sum{GATEWAY}[$__rate_interval])) "
                "/ on () group_left () "
                "sum(rate(radstream_study_seconds_count{GATEWAY}[$__rate_interval]))"
            },
            stacked=True,
        ),
    ]


def _stages() -> list[Panel]:
    return [
        heat_map(
            stage.capitalize(),
            f"How many studies took how long in the stage {stage}.",
            "sum by (le) (increase(radstream_stage_seconds_bucket"
            f'{{GATEWAY, stage="{stage}"}}[$__rate_interval]))',
        )
        for stage in Stage
        if stage is not Stage.TOTAL
    ]


def _saturation() -> list[Panel]:
    return [
        lines(
            "In flight",
            "Requests being answered, and studies being read. Slow senders make the first rise "
            "alone; both on a plateau means that work comes faster than it is done.",
            "short",
            {
                "requests": "sum(radstream_http_requests_in_flight{GATEWAY})",
                "studies": "sum(radstream_studies_in_flight{GATEWAY})",
            },
        ),
        lines(
            "Image threads",
            "Threads at an image, of those there are, and pieces of work that wait for one. "
            "Waiting work is a want of cores.",
            "short",
            {
                "busy": "sum(radstream_image_threads_busy{GATEWAY})",
                "threads": "sum(radstream_image_threads{GATEWAY})",
                "waiting": "sum(radstream_image_jobs_waiting{GATEWAY})",
            },
        ),
        lines(
            "Event loop lag",
            "How late timers fire. Every step of every request waits this long: above 0.1 s the "
            "process wants CPU, or something blocks it.",
            "s",
            {
                f"p{share * 100:.0f}": f"histogram_quantile({share}, sum by (le) "
                "(rate(radstream_event_loop_lag_seconds_bucket{GATEWAY}[$__rate_interval])))"
                for share in (0.5, 0.99)
            },
        ),
    ]


def _admission() -> list[Panel]:
    return [
        lines(
            "Room taken",
            "Share of the studies and of the bytes that the gateways take on at once. One caller "
            "alone gets half; at 100 % studies are refused.",
            "percentunit",
            {
                name: f"sum(radstream_admitted_{name}{{GATEWAY}}) / "
                f"sum(radstream_admission_limit_{name}{{GATEWAY}})"
                for name in ("studies", "bytes")
            },
        ),
        lines(
            "Refused for want of room",
            "By what was used up: caller is one sender's share, line the wait in the background.",
            "cps",
            {
                "{{reason}}": "sum by (reason) "
                "(rate(radstream_admission_rejected_total{GATEWAY}[$__rate_interval]))"
            },
        ),
        lines(
            "Gateways without a Triton",
            "Gateways that refuse studies at once because their Triton does not answer.",
            "short",
            {"gateways": "sum(radstream_triton_circuit_open{GATEWAY})"},
        ),
    ]


def _access() -> list[Panel]:
    return [
        lines(
            "Refused callers",
            "Requests refused for who their caller is, by reason: a sender with an old key, or "
            "somebody who tries.",
            "reqps",
            {
                "{{reason}}": "sum by (reason) "
                "(rate(radstream_auth_failures_total{GATEWAY}[$__rate_interval]))"
            },
        ),
        lines(
            "Audit trail",
            "Acts put on record, acts that could not be (their callers got 503), and refusals of "
            "strangers beyond those recorded one by one.",
            "cps",
            {
                name: f"sum(rate(radstream_audit_{metric}_total{{GATEWAY}}[$__rate_interval]))"
                for name, metric in {
                    "on record": "records",
                    "failed": "failures",
                    "left out": "left_out",
                }.items()
            },
        ),
        lines(
            "Credentials end in",
            "Time until the certificate and each key with an end expire; empty where nothing "
            "expires.",
            "s",
            {
                "{{credential}}": "min by (credential) "
                "(radstream_credential_expires_timestamp_seconds{GATEWAY}) - time()"
            },
        ),
    ]
