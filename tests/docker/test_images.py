"""The recipes of the images: sound by hadolint, and in step with the program.

That they build and run is what docker/rehearse shows; it needs root and takes minutes.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import ROOT

RECIPES = sorted([ROOT / "Dockerfile", *(ROOT / "docker").glob("*.Dockerfile")])


@pytest.fixture(params=RECIPES, ids=lambda path: path.name)
def recipe(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def instructions(recipe: Path) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, comments left out, lines joined."""
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (keyword, arguments.strip())
        for keyword, _, arguments in (line.partition(" ") for line in joined.splitlines())
        if keyword
    ]


def last_stage(recipe: Path) -> list[tuple[str, str]]:
    found = instructions(recipe)
    begins = [n for n, (keyword, _) in enumerate(found) if keyword == "FROM"]
    return found[begins[-1] :]


def test_hadolint_finds_nothing(recipe: Path):
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [hadolint, "--no-color", recipe]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_base_can_be_pinned_by_its_digest(recipe: Path):
    found = instructions(recipe)
    stages = {arguments.split(" AS ")[1] for keyword, arguments in found if keyword == "FROM"}
    declared = {
        arguments.partition("=")[0]
        for keyword, arguments in found[: [k for k, _ in found].index("FROM")]
        if keyword == "ARG"
    }
    for keyword, arguments in found:
        if keyword == "FROM":
            base = arguments.split(" AS ")[0]
            assert base == "scratch" or base in stages or base.strip("${}") in declared, base


def test_the_image_runs_as_a_numbered_user_and_ends_by_sigterm(recipe: Path):
    stage = dict(last_stage(recipe))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage["USER"])
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert stage["ENTRYPOINT"].startswith("[")  # no shell between the signal and the process
    assert "ORT_DISABLE_TELEMETRY=1" in stage["ENV"]
    labels = {word.partition("=")[0] for word in shlex.split(stage["LABEL"])}
    assert {f"org.opencontainers.image.{name}" for name in ("version", "revision", "licenses")} < (
        labels
    )


def test_tritons_images_start_by_an_entry_point_that_the_gateway_can_end():
    for name in ("triton.Dockerfile", "triton-cpu.Dockerfile"):
        stage = last_stage(ROOT / "docker" / name)
        assert ("COPY", "docker/triton-entrypoint /usr/bin/radstream-triton") in stage
        entry_point = json.loads(dict(stage)["ENTRYPOINT"])
        assert entry_point[:2] == ["radstream-triton", "tritonserver"]
        assert "--allow-http=false" in entry_point  # the gateway speaks gRPC alone
        assert dict(stage)["EXPOSE"] == "8001 8002"
    assert os.access(ROOT / "docker/triton-entrypoint", os.X_OK)


def test_the_gateways_image_keeps_and_proves_the_codecs_that_are_used():
    """A codec that `docker/slim.py` took out would show with the first file that needs it."""
    source = (ROOT / "preprocess/codestream.py").read_text()
    used = {name.upper() for name in re.findall(r"imagecodecs\.(\w+)_decode", source)}
    [proved] = re.findall(r"for name in \(([^)]*)\)\)", (ROOT / "Dockerfile").read_text())
    assert set(re.findall(r"'(\w+)'", proved)) == used
    elsewhere = [
        path
        for folder in ("gateway", "preprocess")
        for path in (ROOT / folder).rglob("*.py")
        if "import imagecodecs" in path.read_text() and path.name != "codestream.py"
    ]
    assert elsewhere == []


def test_the_aws_services_that_are_kept_are_those_called():
    """`sts` is called by botocore itself, to take the role of a pod."""
    called = {
        name
        for path in (ROOT / "gateway").rglob("*.py")
        for name in re.findall(r'aws_client\(\s*"(\w+)"', path.read_text())
    }
    slimming = (ROOT / "docker/slim.py").read_text()
    [kept] = re.findall(r"^AWS_SERVICES = (.*)$", slimming, re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', kept)) == called | {"sts"}
