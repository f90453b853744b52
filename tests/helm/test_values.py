"""A wrong value stops `helm template`, and says which it is."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from gateway.settings import Settings, unknown_names
from helm.settings_schema import SCHEMA, written
from tests.helm.conftest import INGRESS
from tests.support.chart import CHART, EXAMPLES, Release, example, merged, refusal, render


def test_the_schema_knows_the_settings_as_they_are():
    assert SCHEMA.read_text() == written(), "run `make schema`"


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [schema] if schema.get("type") == "object" else []
    for value in schema.values():
        for each in value if isinstance(value, list) else [value]:
            found += objects(each) if isinstance(each, dict) else []
    return found


def test_the_schema_is_strict_wherever_names_are_ours():
    # Kubernetes' own types, and Helm's `global`, which any parent chart may set.
    free = [each for each in objects(json.loads(SCHEMA.read_text())) if "properties" not in each]
    assert len([each for each in free if "additionalProperties" not in each]) == 5
    for each in objects(json.loads(SCHEMA.read_text())):
        assert "properties" not in each or each["additionalProperties"] is False


def test_every_value_is_in_values_yaml():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads(SCHEMA.read_text())

    def check(schema: dict[str, Any], value: Any, way: str) -> None:
        schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for name, member in schema.get("properties", {}).items():
            if f"{way}.{name}" not in {".settings", ".secretSettings", ".global"}:
                assert name in value, f"{way}.{name}"
                check(member, value[name], f"{way}.{name}")

    definitions = schema["definitions"]
    del definitions["resources"]["properties"]["limits"]["properties"]["cpu"]  # see values.yaml
    check(schema, values, "")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"settings": {"http": {"grace_period_s": "long"}}}, "got string, want number"),
        ({"settings": {"http": {"grace_period_s": 601}}}, "maximum"),
        ({"settings": {"http": {"grace_periods": 5}}}, "'grace_periods' not allowed"),
        ({"settings": {"http": {"host": "0.0.0.0"}}}, "'host' not allowed"),  # noqa: S104 - refused
        ({"settings": {"triton": {"url": "elsewhere:8001"}}}, "'url' not allowed"),
        ({"settings": {"telemetry": {"study_ref_key": "s3cret"}}}, "'study_ref_key' not allowed"),
        ({"settings": {"nonsense": {}}}, "'nonsense' not allowed"),
        ({"settings": {"store": {"kind": "tape"}}}, "must be one of 'folder', 's3'"),
        ({"settings": {"limits": {"parts": 2.5}}}, "want integer"),
        ({"secretSettings": {"http": {"port": {"secretName": "a", "key": "b"}}}}, "'http' not"),
        ({"secretSettings": {"telemetry": {"study_ref_key": "s3cret"}}}, "want object"),
        ({"gateway": {"env": {"RADSTREAM_HTTP__PORT": "1"}}}, "RADSTREAM_HTTP__PORT"),
        ({"gateway": {"image": {"tag": "latest"}}}, "/gateway/image/tag"),
        ({"triton": {"tuning": {"m": {"instances": 0}}}}, "/triton/tuning/m/instances"),
        ({"autoscaling": {"kind": "both"}}, "/autoscaling/kind"),
        ({"ingress": {"expose": ["metrics"]}}, "/ingress/expose/0"),
        # Only the AWS Load Balancer Controller reads the annotations that the chart writes.
        ({"ingress": {"className": "nginx"}}, "'className' not allowed"),
        ({"gateway": {"env": {"X": {"value": "1"}}}}, "/gateway/env/X"),
        ({"ipFamily": "dual"}, "/ipFamily"),
        ({"ingress": {"sslPolicy": "ELBSecurityPolicy-2016-08"}}, "/ingress/sslPolicy"),
        ({"podSecurity": {"user": 0}}, "/podSecurity/user"),
        ({"bogus": 1}, "'bogus' not allowed"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], said: str):
    assert said in refusal(values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"settings": {"store": {"images_bucket": None}}}, "needs settings.store.images_bucket"),
        ({"settings": {"store": {"kind": "folder"}}}, "is one pod's own"),
        ({"settings": {"telemetry": {"kind": "kinesis"}}}, "needs settings.telemetry.stream_name"),
        ({"settings": {"http": {"drain_delay_s": None}}}, "drain_delay_s must have a value"),
        ({"settings": {"access": {"issuer": None}}}, "authentication is required"),
        (
            {"settings": {"access": {"key_file": "/etc/radstream/secrets/keys/a.json"}}},
            "/etc/radstream/secrets/keys/a.json is in no secret of secretFiles",
        ),
        ({"data": {"kind": "existingClaim"}, "replicas": 1}, "needs data.claimName"),
        (
            {"triton": {"models": {"source": "s3"}}},
            "needs triton.models.s3.bucket and triton.models.s3.digest",
        ),
        ({"externalSecret": {"enabled": True}}, "externalSecret.store.name is needed"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed"),
        (merged(INGRESS, {"ingress": {"certificateArns": []}}), "certificateArns is needed"),
        ({"autoscaling": {"minReplicas": 30}}, "minReplicas is above"),
        ({"monitoring": {"rules": {"enabled": True}}}, "monitoring.rules.runbook is needed"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(values: dict[str, Any], said: str):
    assert said in refusal(values)


def settings(release: Release, monkeypatch: pytest.MonkeyPatch) -> BaseSettings:
    """What the gateway makes of the pod's environment."""
    environment = dict(release.environment)
    for each in release.container("gateway").get("env", ()):
        if each["name"].startswith("RADSTREAM_"):
            assert "secretKeyRef" in each["valueFrom"]
            environment[each["name"]] = "s3cret"
    assert unknown_names(environment) == []
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Settings()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_gateway_takes_the_settings_of_each_example(path, monkeypatch: pytest.MonkeyPatch):
    given = yaml.safe_load(path.read_text())["settings"]
    taken = settings(example(path.stem), monkeypatch)
    for group, members in given.items():
        for name, value in members.items():
            assert as_given(getattr(getattr(taken, group), name)) == value


def test_values_reach_the_gateway_as_they_were_given(monkeypatch: pytest.MonkeyPatch):
    given = {
        "limits": {"body_bytes": 2**33, "image_threads": 3},
        "admission": {"bytes": 2**34},
        "telemetry": {"linger_ms": 0, "drain_s": 0.125},
        "dropfolder": {"watch": False},
        "http": {"trusted_proxies": ["10.0.0.0/16", "10.1.0.0/16"]},
        "store": {"region": "eu-central-1", "kms_key_id": None},
    }
    taken = settings(render({"settings": given}), monkeypatch)
    for group, members in given.items():
        for name, value in members.items():
            assert as_given(getattr(getattr(taken, group), name)) == value


def as_given(value: Any) -> Any:
    """A setting as YAML would write it."""
    if isinstance(value, tuple):
        return [as_given(each) for each in value]
    return str(value) if isinstance(value, Path) else value
