"""Capacity and cost: what a study takes, what would still fit, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import TextBoxVariable

from helm.dashboards.panels import dashboard_of, figure, instances, lines

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from helm.dashboards.panels import Panel

_GATEWAYS = "count(radstream_build_info{GATEWAY})"
_STUDIES = "sum(rate(radstream_studies_total{GATEWAY}[$__rate_interval]))"
_IMAGES = "sum(rate(radstream_images_total{GATEWAY}[$__rate_interval]))"
# The process's own metrics have names that any process has.
_OF_GATEWAYS = "* on (namespace, job, instance) group_left () radstream_build_info"
_CPU = "rate(process_cpu_seconds_total{GATEWAY}[$__rate_interval]) " + _OF_GATEWAYS
# By the time that images took on the threads: how many are busy at the moment of a scrape misses
# most of what is shorter than the pause between two.
_THREADS_BUSY = (
    'sum(rate(radstream_stage_seconds_sum{GATEWAY, stage=~"decode|tensor"}[$__rate_interval]))'
    " / sum(radstream_image_threads{GATEWAY})"
)


def dashboard() -> Dashboard:
    """The dashboard for who pays, and for who decides on replicas."""
    price = (
        TextBoxVariable("price")
        .label("US$ an hour, one gateway with its Triton")
        .default_value("0.10")
    )
    return dashboard_of(
        "capacity",
        "Capacity and cost",
        "What a study takes of the machine, how much would still fit, and what a thousand images "
        "come to at the price above.",
        {"At a glance": _glance(), "A study's share": _share(), "Headroom": _headroom()},
        variables=(instances(), price),
    )


def _glance() -> list[Panel]:
    return [
        figure("Gateways", "Gateways that are scraped.", "short", _GATEWAYS, good_from=1),
        figure(
            "Images an hour",
            "Images answered, replayed ones among them, at the present rate.",
            "short",
            f"3600 * {_IMAGES}",
            decimals=0,
        ),
        figure(
            "Studies a minute and gateway",
            "What one gateway does at the present rate.",
            "short",
            f"60 * {_STUDIES} / {_GATEWAYS}",
            decimals=1,
        ),
        figure(
            "Image threads busy",
            "Share of their time that the image threads are at pictures: on a CPU the first thing "
            "to be full.",
            "percentunit",
            _THREADS_BUSY,
            decimals=0,
            bad_from=0.8,
        ),
        figure(
            "1000 images cost",
            "Gateways times price, over the images of an hour. Idle hours make it dear.",
            "currencyUSD",
            f"1000 * $price * {_GATEWAYS} / (3600 * {_IMAGES})",
            decimals=3,
        ),
        figure(
            "A month costs",
            "Gateways times price, at the present number, for 730 hours.",
            "currencyUSD",
            f"730 * $price * {_GATEWAYS}",
            decimals=0,
        ),
    ]


def _share() -> list[Panel]:
    return [
        lines(
            "CPU of a study",
            "Seconds of the gateways' CPU for a study, and of Triton's computation for a request. "
            "Looks at the models' golden images are in both.",
            "s",
            {
                "gateway": f"sum({_CPU}) / {_STUDIES}",
                "Triton": "sum(rate(nv_inference_compute_infer_duration_us{NAMESPACE}"
                "[$__rate_interval])) / "
                "sum(rate(nv_inference_request_success{NAMESPACE}[$__rate_interval])) / 1e6",
            },
        ),
        lines(
            "CPU of the gateways",
            "Cores that each gateway's process uses; the processes for risky codecs are apart.",
            "short",
            {"{{instance}}": f"sum by (instance) ({_CPU})"},
        ),
        lines(
            "Memory of the gateways",
            "Resident memory of each gateway's process.",
            "bytes",
            {
                "{{instance}}": "sum by (instance) "
                f"(process_resident_memory_bytes{{GATEWAY}} {_OF_GATEWAYS})"
            },
        ),
    ]


def _headroom() -> list[Panel]:
    return [
        lines(
            "How full",
            "Shares in use: of the image threads, of the studies taken on at once, of the files a "
            "process may open, and of the CPU and GPU of Triton's machine, other programs "
            "included.",
            "percentunit",
            {
                "image threads": _THREADS_BUSY,
                "admission": "sum(radstream_admitted_studies{GATEWAY}) / "
                "sum(radstream_admission_limit_studies{GATEWAY})",
                "open files": f"max(process_open_fds{{GATEWAY}} {_OF_GATEWAYS}) / "
                f"min(process_max_fds{{GATEWAY}} {_OF_GATEWAYS})",
                "CPU": "max(nv_cpu_utilization{NAMESPACE})",
                "GPU {{gpu_uuid}}": "max by (gpu_uuid) (nv_gpu_utilization{NAMESPACE})",
            },
        ),
        lines(
            "Studies that come, and that would fit",
            "The present rate, and the rate at which the image threads would be full at the "
            "present cost of a study. Triton may be full before: see Models.",
            "cps",
            {"a second": _STUDIES, "would fit": f"{_STUDIES} / ({_THREADS_BUSY})"},
        ),
        lines(
            "Gateways by version",
            "More than one version beyond a roll-out: a replica was left behind.",
            "short",
            {"{{version}}": "count by (version) (radstream_build_info{GATEWAY})"},
            stacked=True,
        ),
    ]
