"""compose.yaml: a document that Docker Compose takes, in step with the program and its files.

No Docker engine is had where this runs, so nothing is started here; that the gateway's and Triton's
images run is what docker/rehearse shows.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from gateway.access.callers import Scope
from gateway.settings import PREFIX, Settings, unknown_names
from gateway.triton.embedded.errors import UnsupportedPlatformError
from tests.support.aws import CREDENTIALS
from tests.support.gateway import ROOT

COMPOSE = ROOT / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and target of what is mounted from this folder."""
    parts = [each.split(":") for each in service.get("volumes", ()) if each.startswith("./")]
    assert all(part[2:] == ["ro"] for part in parts)
    return [(source, target) for source, target, _ in parts]


def test_docker_compose_takes_it():
    compose = Path(sys.executable).with_name("docker-compose")
    command = [compose, "--file", COMPOSE, "config", "--quiet"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_way_out_that_a_platform_without_triton_is_told_leads_here():
    assert "docker compose up" in str(UnsupportedPlatformError("there is no wheel"))
    assert COMPOSE.name in {"compose.yaml", "compose.yml"}  # found without being named


def test_every_file_that_is_mounted_or_built_from_is_there(services: dict[str, dict[str, Any]]):
    for service in services.values():
        for source, _ in mounts(service):
            assert (ROOT / source).exists(), source
        if isinstance(build := service.get("build"), dict):
            assert (ROOT / build["dockerfile"]).exists()


def test_every_port_is_this_machines_own(services: dict[str, dict[str, Any]]):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_our_images_run_restricted(services: dict[str, dict[str, Any]]):
    ours = [service for service in services.values() if service["image"].startswith("radstream")]
    assert len(ours) == 4
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_gateways_settings_are_valid_and_leave_time_to_drain(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    environment = {
        name: value
        for name, value in services["gateway"]["environment"].items()
        if name.startswith(PREFIX)
    }
    assert unknown_names(environment) == []
    for name, value in environment.items():
        monkeypatch.setenv(name, value.partition(":-")[2].rstrip("}") or value)
    settings = Settings()
    assert settings.access.is_asked
    stages = settings.http.drain_delay_s + settings.http.grace_period_s
    grace_s = int(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > stages + settings.telemetry.drain_s


def test_the_key_has_every_scope_that_there_is(services: dict[str, dict[str, Any]]):
    [program] = services["key"]["command"]
    for scope in Scope:
        assert f'"{scope}"' in program


def test_the_emulator_gets_what_the_gateway_uses(services: dict[str, dict[str, Any]], s3_url: str):
    [(source, target)] = mounts(services["resources"])
    assert services["resources"]["entrypoint"] == ["python3", target]
    for _ in range(2):  # the second finds all there
        subprocess.run(
            [sys.executable, ROOT / source],
            check=True,
            env={**CREDENTIALS, "ENDPOINT": s3_url, "PATH": os.environ["PATH"]},
        )
    environment = services["gateway"]["environment"]
    made = boto3.client("s3", endpoint_url=s3_url).list_buckets()["Buckets"]
    wanted = {environment[f"RADSTREAM_STORE__{of}_BUCKET"] for of in ("IMAGES", "RESULTS")}
    assert wanted <= {bucket["Name"] for bucket in made}
    streams = boto3.client("kinesis", endpoint_url=s3_url).list_streams()["StreamNames"]
    assert environment["RADSTREAM_TELEMETRY__STREAM_NAME"] in streams


def test_prometheus_takes_its_configuration_and_finds_gateway_and_triton(
    services: dict[str, dict[str, Any]], tmp_path: Path
):
    targets = {target: ROOT / source for source, target in mounts(services["prometheus"])}
    configuration = tmp_path / "prometheus.yml"
    configuration.write_bytes(targets["/etc/prometheus/prometheus.yml"].read_bytes())
    (tmp_path / "rules").symlink_to(targets["/etc/prometheus/rules"])
    command = shlex.split(f"promtool check config {configuration}")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    scraped = {
        target.partition(":")[0]
        for job in yaml.safe_load(configuration.read_text())["scrape_configs"]
        for target in job["static_configs"][0]["targets"]
    }
    assert scraped == {"gateway", "triton"}
    assert scraped <= services.keys()


def test_grafana_is_given_prometheus_and_the_dashboards(services: dict[str, dict[str, Any]]):
    files = {target: ROOT / source for source, target in mounts(services["grafana"])}
    by_folder = {Path(target).parent.name: path for target, path in files.items()}
    [datasource] = yaml.safe_load(by_folder["datasources"].read_text())["datasources"]
    assert datasource["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load(by_folder["dashboards"].read_text())["providers"]
    dashboards = files[provider["options"]["path"]]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (dashboards / Path(home).name).exists()
