"""The chart, rendered by the real Helm."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/radstream"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
HELM = ROOT / ".venv/kubernetes/helm"
KUBECTL = ROOT / ".venv/kubernetes/kubectl"

# What has no default: nobody else's buckets are anybody's, and authentication is required.
NEEDED = {
    "settings": {
        "store": {"images_bucket": "radstream-i", "results_bucket": "radstream-r"},
        "audit": {"kind": "s3", "bucket": "radstream-a"},
        "access": {"issuer": "https://login.example.org", "audience": "radstream"},
    }
}


@dataclass(frozen=True)
class Release:
    """Objects that a release of the chart consists of."""

    objects: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        [found] = self.all(kind)
        return found

    @property
    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    def container(self, name: str) -> dict[str, Any]:
        everything = [*self.pod.get("initContainers", ()), *self.pod["containers"]]
        [found] = [each for each in everything if each["name"] == name]
        return found

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the gateway gets as they are written here."""
        [config] = [
            each for each in self.all("ConfigMap") if "RADSTREAM_HTTP__HOST" in each["data"]
        ]
        written: dict[str, str] = config["data"]
        return written


class _OneOfEachKey(yaml.SafeLoader):
    """A loader that refuses a key that stands twice, as the API server does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{keys} at {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values, as Helm lays them."""
    result = dict(one)
    for key, value in other.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]  # both
    return result


def helm(*arguments: str | Path, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run Helm with these values and return its exit status and output."""
    return subprocess.run(
        [HELM, *arguments, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


def render(values: Mapping[str, Any] | None = None, *, bare: bool = False) -> Release:
    """The release and namespace "radstream" with these values over the needed ones, or bare."""
    given = values or {} if bare else merged(NEEDED, values or {})
    done = helm(
        *("template", "radstream", CHART, "--namespace", "radstream", "--kube-version", "1.31"),
        values=given,
    )
    assert done.returncode == 0, done.stderr
    return Release(tuple(each for each in yaml.load_all(done.stdout, _OneOfEachKey) if each))


def refusal(values: Mapping[str, Any]) -> str:
    """Return Helm's error when it refuses to render these values over the needed ones."""
    done = helm("template", "radstream", CHART, values=merged(NEEDED, values))
    assert done.returncode != 0, "rendered what should have been refused"
    return done.stderr


def example(name: str) -> Release:
    """The release of one of the chart's examples."""
    return render(yaml.safe_load((CHART / f"examples/{name}.yaml").read_text()), bare=True)
