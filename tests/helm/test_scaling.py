"""Pods are added fast and taken away slowly, by metrics that exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from tests.support.chart import ROOT, Release, render
from tests.support.tools import tool

ADAPTER = yaml.safe_load((ROOT / "helm/prometheus-adapter.yaml").read_text())
TRITON = {"nv_inference_queue_duration_us", "nv_inference_request_success"}


def scaler(kind: str, **values: Any) -> dict[str, Any]:
    release = render({"autoscaling": {"kind": kind, **values}})
    object_kind = {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[kind]
    spec: dict[str, Any] = release.one(object_kind)["spec"]
    return spec


def behaviour(kind: str, **values: Any) -> dict[str, Any]:
    spec = scaler(kind, **values)
    if kind == "keda":
        spec = spec["advanced"]["horizontalPodAutoscalerConfig"]
    found: dict[str, Any] = spec["behavior"]
    return found


def adapter_queries() -> dict[str, str]:
    """The adapter's queries as it asks them, by the name of the metric they become."""
    return {
        rule["name"]["as"]: rule["metricsQuery"]
        .replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
        .replace("<<.LabelMatchers>>", 'namespace="radstream",pod=~"a|b"')
        .replace("<<.GroupBy>>", "pod")
        for rule in ADAPTER["rules"]["custom"]
    }


def keda_queries() -> list[str]:
    triggers = scaler("keda")["triggers"]
    return [each["metadata"]["query"] for each in triggers if each["type"] == "prometheus"]


def test_the_autoscaler_reads_what_the_adapter_serves_and_the_gateways_cpu():
    *pods, cpu = scaler("hpa", targets={"queueSeconds": 0.0505, "studiesInFlight": 7})["metrics"]
    targets = {
        each["pods"]["metric"]["name"]: each["pods"]["target"]["averageValue"] for each in pods
    }
    assert targets == {
        "radstream_triton_queue_seconds": "51m",
        "radstream_studies_in_flight": "7",
    }
    assert targets.keys() == adapter_queries().keys()
    assert cpu["containerResource"]["container"] == "gateway"
    assert cpu["containerResource"]["target"]["averageUtilization"] == 50


def test_keda_asks_the_same_of_prometheus():
    queue, studies, cpu = scaler("keda")["triggers"]
    assert (queue["metricType"], queue["metadata"]["threshold"]) == ("Value", "0.1")
    assert (studies["metricType"], studies["metadata"]["threshold"]) == ("AverageValue", "6")
    assert (cpu["type"], cpu["metadata"]["containerName"]) == ("cpu", "gateway")
    for query in keda_queries():
        assert 'namespace="radstream",pod=~"radstream-[^-]+-[^-]+"' in query


def test_queries_are_of_metrics_that_there_are_and_prometheus_can_read_them(tmp_path: Path):
    queries = [*adapter_queries().values(), *keda_queries()]
    registry = CollectorRegistry()
    Metrics(registry)
    known = {family.name for family in registry.collect()}
    for query in queries:
        asked = set(re.findall(r"\b(?:radstream|nv)_\w+(?={)", query))
        assert asked
        assert asked <= known | TRITON
    rules = [{"record": f"q{number}", "expr": each} for number, each in enumerate(queries)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [tool("promtool"), "check", "rules", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pods_are_added_at_once_and_taken_away_slowly():
    hpa = behaviour("hpa")
    assert hpa == behaviour("keda")
    assert hpa["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert {"type": "Percent", "value": 100, "periodSeconds": 15} in hpa["scaleUp"]["policies"]
    assert hpa["scaleDown"]["stabilizationWindowSeconds"] == 120
    assert {"type": "Percent", "value": 25, "periodSeconds": 60} in hpa["scaleDown"]["policies"]
    changed = behaviour("hpa", scaleDown={"stabilizationSeconds": 60})
    assert changed["scaleDown"]["stabilizationWindowSeconds"] == 60


def test_who_scales_alone_counts_the_pods(variants: dict[str, tuple[Release, Release]]):
    for name in ("autoscaling-hpa", "autoscaling-keda"):
        on, off = variants[name]
        assert "replicas" not in on.one("Deployment")["spec"]
        assert off.one("Deployment")["spec"]["replicas"] == 2
        scalers = on.all("HorizontalPodAutoscaler") + on.all("ScaledObject")
        assert len(scalers) == 1
        assert off.all("HorizontalPodAutoscaler") + off.all("ScaledObject") == []


def test_prometheus_finds_both_containers(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["pod-monitor"]
    spec = on.one("PodMonitor")["spec"]
    assert spec["selector"] == on.one("Deployment")["spec"]["selector"]
    named = {port["name"] for name in ("gateway", "triton") for port in on.container(name)["ports"]}
    assert {each["port"] for each in spec["podMetricsEndpoints"]} == named
    # Rules and dashboards tell RadStream's jobs by it.
    assert on.one("Deployment")["spec"]["template"]["metadata"]["labels"][spec["jobLabel"]] == (
        "radstream"
    )
    assert off.all("PodMonitor") == []
