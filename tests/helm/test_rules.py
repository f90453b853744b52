"""The rules as Prometheus' own promtool judges them, and as docs/operate.md explains them."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from tests.support.chart import render
from tests.support.tools import tool

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "helm/radstream/rules").glob("*.yaml"))
PROMTOOL_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Of each name; the windows of one objective share theirs, and all but window and severity."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [tool("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_and_rules_are_valid():
    promtool("check", "config", ROOT / "helm/prometheus.yml")
    promtool("check", "rules", *RULES)


@pytest.mark.parametrize("path", PROMTOOL_TESTS, ids=lambda path: path.stem)
def test_alerts_are_raised_when_they_should_be_and_not_otherwise(path: Path):
    promtool("test", "rules", path)


def test_each_alert_is_seen_raised_and_seen_silent():
    seen: dict[str, set[bool]] = {name: set() for name in OBJECTIVES}
    for path in PROMTOOL_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                seen.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert set(seen) == set(alerts())
    assert {name for name, raised in seen.items() if raised != {True, False}} == set(OBJECTIVES)


def test_each_alert_has_a_section_in_the_runbook_and_each_section_its_alert():
    text = (ROOT / "docs/operate.md").read_text()
    sections = re.findall(
        r"^### (RadStream\w+)\n\n(.*?)(?=\n##|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert sorted(name for name, _ in sections) == sorted(alerts())
    for name, section in sections:
        for question in ("**For patients.**", "**Look.**", "**Do.**"):
            assert question in section, (name, question)
    for rule in rules():
        if "alert" in rule:
            link = rule["annotations"]["runbook_url"]
            assert link == f"docs/operate.md#{rule['alert'].lower()}"
            assert rule["labels"]["severity"] in {"critical", "warning"}


def test_the_charts_alerts_link_to_the_runbook_that_is_named():
    url = "https://wiki.example.org/radstream"
    release = render({"monitoring": {"rules": {"enabled": True, "runbook": url}}})
    shipped = [group for each in release.all("PrometheusRule") for group in each["spec"]["groups"]]
    links = {
        rule["annotations"]["runbook_url"]
        for group in shipped
        for rule in group["rules"]
        if "alert" in rule
    }
    assert links == {f"{url}#{name.lower()}" for name in alerts()}


def test_rules_name_metrics_that_there_are():
    families = [family for metric in Metrics(CollectorRegistry()) for family in metric.describe()]
    known = {family.name for family in families} | {rule.get("record") for rule in rules()}
    for rule in rules():
        for name in re.findall(r"(?<!:)\bradstream_\w+", rule["expr"]):
            assert re.sub("_(total|bucket|count|sum|info)$", "", name) in known, name
        for name in re.findall(r"\bnamespace_job:[\w:]+", rule["expr"]):
            assert name in known, name


# --- the objectives ------------------------------------------------------------------------------

WINDOWS = {
    "1h": ("critical", 2),
    "6h": ("critical", 5),
    "1d": ("warning", 10),
    "3d": ("warning", 30),
}
OBJECTIVES = {
    "RadStreamAvailabilityBudgetBurn": (
        "Studies fail by the gateway's fault.",
        "of the requests that brought studies failed",
    ),
    "RadStreamLatencyBudgetBurn": ("Results come late.", "of the studies took over a second"),
    "RadStreamFreshnessBudgetBurn": (
        "Dropped or deferred studies get their results late.",
        "of them took over a minute",
    ),
}


def counter(
    labels: str, rate: float, name: str = "radstream_http_requests_total"
) -> dict[str, str]:
    """A series that rises by so much a minute, for five hours."""
    return {"series": f'{name}{{job="radstream",{labels}}}', "values": f"0+{rate:.12g}x300"}


def requests(rates: Mapping[str, float], route: str = "/v1/studies") -> list[dict[str, str]]:
    """Requests a minute by method and status."""
    return [
        counter(f'route="{route}",method="{each.split()[0]}",status="{each.split()[1]}"', rate)
        for each, rate in rates.items()
    ]


def studies(slow: float, fast: float) -> list[dict[str, str]]:
    """Studies a minute that took over a second, and that took less."""
    name = "radstream_study_seconds"
    return [
        counter('route="rest",le="1.0"', fast, f"{name}_bucket"),
        counter('route="rest",le="+Inf"', fast + slow, f"{name}_bucket"),
        counter('route="rest"', fast + slow, f"{name}_count"),
    ]


def deferred(late: float, fresh: float) -> list[dict[str, str]]:
    """Dropped and deferred studies a minute that took over a minute, and that took less."""
    name = "radstream_study_freshness_seconds"
    return [
        counter('route="event",le="60.0"', fresh, f"{name}_bucket"),
        counter('route="event"', fresh + late, f"{name}_count"),
    ]


@pytest.mark.parametrize(
    ("name", "series", "share", "windows"),
    [
        *(
            (
                "RadStreamAvailabilityBudgetBurn",
                requests({"POST 200": 100 - 100 * share, "POST 503": 100 * share}),
                share,
                windows,
            )
            for share, windows in [(0.2, 4), (0.01, 3), (0.004, 2), (0.002, 1), (0.0005, 0)]
        ),
        *(
            (
                "RadStreamAvailabilityBudgetBurn",
                requests({"POST 200": 90, "POST 503": 10}, f"/dicomweb/studies{of_study}"),
                0.1,
                4,
            )
            for of_study in ("", "/{study_instance_uid}")
        ),
        *(
            (
                "RadStreamLatencyBudgetBurn",
                studies(10 * share, 10 - 10 * share),
                share,
                windows,
            )
            for share, windows in [(0.8, 4), (0.4, 3), (0.2, 2), (0.1, 1), (0.04, 0)]
        ),
        *(
            (
                "RadStreamFreshnessBudgetBurn",
                deferred(10 * share, 10 - 10 * share),
                share,
                windows,
            )
            for share, windows in [(0.8, 4), (0.4, 3), (0.2, 2), (0.1, 1), (0.04, 0)]
        ),
    ],
)
def test_a_budget_raises_as_many_windows_as_it_burns_fast(
    tmp_path: Path, name: str, series: Sequence[Mapping[str, str]], share: float, windows: int
):
    """After five hours of it."""
    summary, what = OBJECTIVES[name]
    expected = [
        {
            "exp_labels": {"job": "radstream", "severity": severity, "window": window},
            "exp_annotations": {
                "summary": summary,
                "description": f"{share * 100:.4g}% {what} within {window}. At this rate "
                f"the error budget of 30 days is gone in {days} days.",
                "runbook_url": f"docs/operate.md#{name.lower()}",
            },
        }
        for window, (severity, days) in list(WINDOWS.items())[4 - windows :]
    ]
    judge(tmp_path, name, series, expected)


@pytest.mark.parametrize(
    "series",
    [
        requests({"POST 200": 10, "POST 422": 10, "POST 499": 10, "GET 503": 10}),
        requests({"POST 200": 1, "POST 503": 10}, route="/v1/parked/{item_id}/retry"),
        requests({"POST 200": 0.1, "POST 503": 0.01}),  # three failures in five hours
        studies(slow=0.01, fast=0.01),
        deferred(late=0.01, fresh=0.01),
    ],
    ids=["not our fault", "no study", "few", "few slow", "few late"],
)
def test_what_burns_no_budget_raises_nothing(tmp_path: Path, series: Sequence[Mapping[str, str]]):
    for name in OBJECTIVES:
        judge(tmp_path, name, series, [])


def judge(
    folder: Path, name: str, series: Sequence[Mapping[str, str]], expected: Sequence[Any]
) -> None:
    """Hold what the objectives make of the series after five hours to what is expected."""
    path = folder / f"{name}.json"  # which is YAML
    test = {"interval": "1m", "input_series": series}
    case = {"alertname": name, "eval_time": "5h", "exp_alerts": expected}
    path.write_text(
        json.dumps(
            {
                "rule_files": [str(ROOT / "helm/radstream/rules/objectives.yaml")],
                "evaluation_interval": "5m",
                "tests": [test | {"alert_rule_test": [case]}],
            }
        )
    )
    promtool("test", "rules", path)
