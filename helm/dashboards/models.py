"""Models: which of them answer, how fast, and what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helm.dashboards.panels import dashboard_of, figure, lines, values_of

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from helm.dashboards.panels import Panel

_PARTS = {
    "queue": "waits in the queue",
    "compute_input": "input",
    "compute_infer": "computes",
    "compute_output": "output",
}


def dashboard() -> Dashboard:
    """The dashboard for who runs models."""
    model = values_of(
        "model", "Model", 'label_values(radstream_model_ready{namespace=~"$namespace"}, model)'
    )
    return dashboard_of(
        "models",
        "Models",
        "Each model and version: its rate, its latency in Triton, its batches, and what it finds. "
        "Golden images, which the gateways read at every look, are among Triton's requests.",
        {
            "At a glance": _glance(),
            "Requests": _requests(),
            "Latency": _latency(),
            "Findings": _findings(),
            "Agreement of shadow models": _agreement(),
        },
        variables=(model,),
    )


def _glance() -> list[Panel]:
    return [
        figure(
            "Ready",
            "1 where every gateway finds the version ready; 0 where one does not: its /v1/models "
            "has the reason.",
            "short",
            "min by (model, version) (radstream_model_ready{TRITON})",
            legend="{{model}} {{version}}",
            good_from=1,
        ),
        figure(
            "Calls that failed",
            "Calls to Triton that failed over the time shown.",
            "short",
            "sum(increase(radstream_inference_errors_total{NAMESPACE}[$__range]))",
            decimals=0,
            bad_from=1,
        ),
        figure(
            "Waiting in Triton",
            "Requests that wait for a model now.",
            "short",
            "sum(nv_inference_pending_request_count{TRITON})",
        ),
        figure(
            "Positive",
            "Share of the findings at or above their threshold, over the time shown.",
            "percentunit",
            '(sum(increase(radstream_findings_total{TRITON, positive="true"}[$__range]))'
            " or vector(0)) / sum(increase(radstream_findings_total{TRITON}[$__range]))",
            decimals=1,
        ),
    ]


def _requests() -> list[Panel]:
    return [
        lines(
            "Requests answered",
            "By model and version.",
            "reqps",
            {
                "{{model}} {{version}}": "sum by (model, version) "
                "(rate(nv_inference_request_success{TRITON}[$__rate_interval]))"
            },
        ),
        lines(
            "Requests Triton failed",
            "By model, version and Triton's reason: REJECTED is a full queue, CANCELED a caller "
            "that left, BACKEND the model itself.",
            "reqps",
            {
                "{{model}} {{version}} {{reason}}": "sum by (model, version, reason) "
                "(rate(nv_inference_request_failure{TRITON}[$__rate_interval]))"
            },
        ),
        lines(
            "Calls that failed, as the gateways see it",
            "By kind of error, a Triton that is not there among them.",
            "reqps",
            {
                "{{error}}": "sum by (error) "
                "(rate(radstream_inference_errors_total{NAMESPACE}[$__rate_interval]))"
            },
        ),
    ]


def _latency() -> list[Panel]:
    return [
        lines(
            "A request to $model in Triton",
            "What a request takes on average, in its parts. A growing queue wants instances, a "
            "growing computation a faster machine or a smaller model.",
            "s",
            {
                words: f"sum(rate(nv_inference_{part}_duration_us{{TRITON}}[$__rate_interval]))"
                " / sum(rate(nv_inference_request_success{TRITON}[$__rate_interval])) / 1e6"
                for part, words in _PARTS.items()
            },
            span=24,
            stacked=True,
            repeat="model",
        ),
        lines(
            "Batch size",
            "Requests' items that Triton computes at once, on average. 1 under load: the model "
            "does not batch, or its instances are not busy.",
            "short",
            {
                "{{model}} {{version}}": "sum by (model, version) "
                "(rate(nv_inference_count{TRITON}[$__rate_interval])) / "
                "sum by (model, version) (rate(nv_inference_exec_count{TRITON}[$__rate_interval]))"
            },
        ),
        lines(
            "Waiting for a model",
            "Requests in Triton's queue.",
            "short",
            {
                "{{model}} {{version}}": "sum by (model, version) "
                "(nv_inference_pending_request_count{TRITON})"
            },
        ),
        lines(
            "Instances at work",
            "Seconds of computation a second: near the number of a model's instances they are "
            "full. A batch counts once for each of its requests.",
            "short",
            {
                "{{model}} {{version}}": "sum by (model, version) "
                "(rate(nv_inference_compute_infer_duration_us{TRITON}[$__rate_interval])) / 1e6"
            },
        ),
    ]


def _findings() -> list[Panel]:
    def share(window: str) -> str:
        return (
            "(sum by (model, version, label) (increase(radstream_findings_total"
            f'{{TRITON, positive="true"}}[{window}])) or 0 * sum by (model, version, label) '
            f"(increase(radstream_findings_total{{TRITON}}[{window}]))) / "
            "sum by (model, version, label) "
            f"(increase(radstream_findings_total{{TRITON}}[{window}]))"
        )

    return [
        lines(
            "Share of positive findings",
            "The last hour beside the last seven days. A share that leaves its week's means other "
            "patients, another device, a wrong view, or a model that has changed.",
            "percentunit",
            {
                "{{model}} {{version}} {{label}}, an hour": share("1h"),
                "{{model}} {{version}} {{label}}, 7 days": share("7d"),
            },
            span=12,
        ),
        lines(
            "Findings",
            "Findings by model, version, label and whether they reached their threshold.",
            "cps",
            {
                "{{model}} {{version}} {{label}} {{positive}}": "sum by "
                "(model, version, label, positive) "
                "(rate(radstream_findings_total{TRITON}[$__rate_interval]))"
            },
            span=12,
        ),
    ]


def _agreement() -> list[Panel]:
    labels = "shadow, shadow_version, model, version, label"
    legend = "{{shadow}} {{shadow_version}}, {{model}} {{version}}, {{label}}"
    pairs = "radstream_agreement_pairs_total"
    judged = 'verdicts!="not_applicable"'
    n = f"sum by ({labels}) (increase({pairs}{{TRITON, {judged}}}[$__range]))"

    def count(verdicts: str) -> str:
        """Pairs of these verdicts, none where there were only others."""
        found = f'increase({pairs}{{TRITON, verdicts=~"{verdicts}"}}[$__range])'
        return f"(sum by ({labels}) ({found}) or 0 * {n})"

    def alike(shown: str, shadow: str) -> str:
        """Pairs that would be alike by chance, times the number of all."""
        return f"{count(shown)} * {count(shadow)}"

    chance = (
        f"({alike('both_positive|only_shown', 'both_positive|only_shadow')}"
        f" + {alike('both_negative|only_shadow', 'both_negative|only_shown')}) / {n}"
    )
    difference = "radstream_agreement_difference_bucket{TRITON}[$__range]"
    return [
        lines(
            "Cohen's kappa",
            "Agreement beyond chance of a shadow model with the one whose reading is shown, over "
            "the time shown. Few pairs tell little: radstream report has n and intervals.",
            "short",
            {legend: f"({count('both_positive|both_negative')} - {chance}) / ({n} - {chance})"},
        ),
        lines(
            "Verdicts that would change",
            "Share of the pairs in which one of the two alone is positive.",
            "percentunit",
            {
                f"{legend}: shown alone": f"{count('only_shown')} / {n}",
                f"{legend}: shadow alone": f"{count('only_shadow')} / {n}",
            },
        ),
        lines(
            "Difference of probability",
            "By the shadow model less the one that is shown: the median, and the middle 95 of 100.",
            "short",
            {
                f"{legend}: {words}": f"histogram_quantile({share}, sum by ({labels}, le) "
                f"(increase({difference})))"
                for share, words in ((0.025, "2.5 %"), (0.5, "median"), (0.975, "97.5 %"))
            },
        ),
    ]
