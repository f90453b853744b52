"""What the chart renders is valid, for Kubernetes, for its extensions, and for a policy scanner."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.helm.conftest import RUNBOOK
from tests.support.chart import CHART, EXAMPLES, NEEDED, ROOT, Release, helm, render

CRDS = Path(__file__).parent / "crds"
# From the chart's kubeVersion to the newest that the validator knows.
VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
# The types that the makers of these resources give them.
OPERATOR = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"
CUSTOM = {
    "ExternalSecret": "@kubernetes-models/external-secrets/external-secrets.io/v1/ExternalSecret",
    "PodMonitor": f"{OPERATOR}/PodMonitor",
    "PrometheusRule": f"{OPERATOR}/PrometheusRule",
    "ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
}


def distinct(releases: dict[str, Release]) -> list[dict]:
    texts = {json.dumps(each) for release in releases.values() for each in release.objects}
    return [json.loads(text) for text in sorted(texts)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_linter_has_nothing_to_say(path: Path):
    done = helm("lint", "--strict", CHART, values=yaml.safe_load(path.read_text()))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_is_of_the_gateways_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project["version"]
    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_example_is_valid_in_every_supported_version(
    version: str, examples: dict[str, Release]
):
    for each in distinct(examples):
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_every_optional_part_is_valid_on_and_off(version: str, releases: dict[str, Release]):
    checked = [each for each in distinct(releases) if each["kind"] not in CUSTOM]
    assert len(checked) > 30
    for each in checked:
        kubernetes_validate.validate(each, version, strict=True)


def test_custom_resources_have_their_makers_types(
    releases: dict[str, Release], tmp_path: Path
) -> None:
    custom = [each for each in distinct(releases) if each["kind"] in CUSTOM]
    assert {each["kind"] for each in custom} == set(CUSTOM)
    lines = [f'import type {{ I{kind} }} from "{module}";' for kind, module in CUSTOM.items()]
    for number, each in enumerate(custom):
        lines.append(f"export const _{number}: I{each['kind']} = {json.dumps(each)};")
    assert compiled(lines, tmp_path) == ""
    # The compiler knows names and types: a misspelt one is seen.
    broken = json.dumps(next(each for each in custom if each["kind"] == "PodMonitor"))
    lines.append(f"export const broken: IPodMonitor = {broken.replace('jobLabel', 'jobLable')};")
    assert "jobLable" in compiled(lines, tmp_path)


def compiled(lines: list[str], folder: Path) -> str:
    (folder / "node_modules").unlink(missing_ok=True)
    (folder / "node_modules").symlink_to(CRDS / "node_modules")
    source = folder / "resources.ts"
    source.write_text("\n".join(lines))
    options = ["--noEmit", "--strict", "--skipLibCheck", "--preserveSymlinks"]
    options += ["--module", "nodenext", "--target", "es2022"]
    done = subprocess.run(
        [CRDS / "node_modules/.bin/tsc", *options, source],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


# Why a finding of the scanner stands.
EXCUSED = {
    "CKV_K8S_15": "a version or a digest names one image for ever: there is nothing to pull anew",
    "CKV_K8S_11": "no limit of CPU: it throttles a decoder in the middle of a picture",
    "CKV_K8S_43": "a digest is set by who deploys: the examples have none to name",
    "CKV_K8S_8": "the pod of `helm test` asks once and ends",
    "CKV_K8S_9": "as CKV_K8S_8",
    "CKV2_K8S_6": "the pod of `helm test` answers nobody; the gateway's own policy lets it in",
    "CKV_K8S_35": "the gateway reads its settings from the environment",
}


def test_the_policy_scanner_finds_nothing_but_what_is_excused(
    examples: dict[str, Release], tmp_path: Path
):
    for name, release in examples.items():
        placed = [
            each | {"metadata": each["metadata"] | {"namespace": "radstream"}}
            for each in release.objects
        ]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(placed))
    command = [ROOT / ".venv/checkov/bin/checkov", "--directory", tmp_path, "--skip-download"]
    command += ["--framework", "kubernetes", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 150
    failed = {(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]}
    assert not {each for each in failed if each[0] not in EXCUSED}
    assert {check for check, _ in failed} == set(EXCUSED)


def test_nothing_is_named_twice(releases: dict[str, Release]):
    for release in releases.values():
        names = [(each["kind"], each["metadata"]["name"]) for each in release.objects]
        assert len(names) == len(set(names))


def test_every_object_has_the_common_labels_and_no_selector_a_version(
    releases: dict[str, Release],
):
    wanted = {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
    }
    for release in releases.values():
        for each in release.objects:
            assert wanted <= each["metadata"]["labels"].keys(), each["kind"]
        selector = release.one("Deployment")["spec"]["selector"]["matchLabels"]
        assert selector.keys() == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}


def test_no_image_floats(releases: dict[str, Release]):
    for release in releases.values():
        for container in [*release.pod["initContainers"], *release.pod["containers"]]:
            if container["name"] != "log-shipper":  # the user's own
                assert re.search(r":\d+\.\d+\.\d+$|@sha256:", container["image"])


def test_rules_and_dashboards_are_shipped_as_they_are(variants: dict[str, tuple[Release, Release]]):
    on, off = variants["rules"]
    shipped = [each["spec"] for each in on.all("PrometheusRule")]
    files = sorted((CHART / "rules").glob("*.yaml"))
    assert shipped == [
        yaml.safe_load(path.read_text().replace("docs/operate.md#", f"{RUNBOOK}#"))
        for path in files
    ]
    assert off.all("PrometheusRule") == []
    on, off = variants["dashboards"]
    shipped = [each for each in on.all("ConfigMap") if "-dashboard-" in each["metadata"]["name"]]
    files = sorted((CHART / "dashboards").glob("*.json"))
    for each, path in zip(shipped, files, strict=True):
        [(name, text)] = each["data"].items()
        release = name.removeprefix(f"{path.stem}-").removesuffix(".json")
        assert re.fullmatch(r"[0-9a-f]{8}", release)
        document = json.loads(path.read_text())
        uid = document["uid"].replace("radstream-", f"radstream-{release}-")
        assert len(uid) <= 40  # Grafana's limit
        assert json.loads(text) == document | {"uid": uid}
    other = render(
        {"monitoring": {"dashboards": {"enabled": True}}, "fullnameOverride": "radstream-2"}
    )
    names = [
        {name for each in release.all("ConfigMap") for name in each["data"] if ".json" in name}
        for release in (on, other)
    ]
    assert names[0] & names[1] == set()
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in shipped)
    assert not [each for each in off.all("ConfigMap") if "-dashboard-" in each["metadata"]["name"]]


def test_the_notes_tell_what_to_do_next():
    done = helm("install", "radstream", CHART, "--dry-run=client", values=NEEDED)
    assert done.returncode == 0, done.stderr
    assert "rollout status deployment/radstream" in done.stdout
    assert "A pod may take 85 s to end" in done.stdout
