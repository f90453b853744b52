"""AWS for the tests: the packaged stack, and an emulator's server to deploy it into."""

import copy
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"

STACK = "radstream-dev"

# What the emulator does not know, by name, so that a newer one shows in a failing test.
NOT_EMULATED = {"AWS::Athena::NamedQuery", "AWS::WAFv2::LoggingConfiguration"}

# What the emulator and every client of it is given; nothing else of AWS may come from outside.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass(frozen=True)
class Package:
    """The template and the function's archive, as they would go to CloudFormation."""

    folder: Path
    template: dict[str, Any]

    @property
    def template_file(self) -> Path:
        return self.folder / "cloudformation-template-update-stack.json"

    @property
    def forwarder_zip(self) -> Path:
        return self.folder / "forwarder.zip"

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties."""
        return dict(self.template["Resources"][logical_id]["Properties"])

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id of all resources of a type."""
        return {
            name: resource["Properties"]
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == resource_type
        }


def package(folder: Path, *, stage: str, region: str = REGION, **params: str) -> Package:
    """The stack, packaged for a stage without an account; the parameters replace its defaults."""
    command = [str(ROOT / "serverless/node_modules/.bin/serverless"), "package", "--stage", stage]
    command += ["--region", region, "--package", str(folder)]
    command += [f"--param={name}={value}" for name, value in params.items()]
    environment = _clean_environment() | {"SLS_TELEMETRY_DISABLED": "1", "CI": "1"}
    # It works in the checkout's .serverless/ and moves that away: one at a time.
    with (ROOT / "serverless.yml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    template = folder / "cloudformation-template-update-stack.json"
    return Package(folder, json.loads(template.read_text()))


@dataclass(frozen=True)
class Ministack:
    """An emulator that listens."""

    url: str
    log: Path

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


@contextmanager
def running_ministack(
    folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Ministack]:
    """An emulator on a free port that keeps all in memory; functions inherit the environment."""
    port = free_port()
    environment = _clean_environment() | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        "ATHENA_ENGINE": "duckdb",
        "IOT_MTLS_ENABLED": "0",  # listens on a port of its own otherwise
        # Functions run on the first python3 of the path, which shall be the one with boto3.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **(environ or {}),
    }
    stack = Ministack(f"http://127.0.0.1:{port}", folder / "ministack.log")
    with stack.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait_for_health(stack, process)
            yield stack
        finally:
            process.terminate()
            process.wait(10)


def deploy(ministack: Ministack, package: Package, **parameters: str) -> dict[str, str]:
    """The outputs of the stack, once the emulator's CloudFormation has made it as packaged."""
    template = dict(package.template)
    template["Resources"] = {
        name: resource
        for name, resource in copy.deepcopy(template["Resources"]).items()
        if resource["Type"] not in NOT_EMULATED
    }
    code = template["Resources"]["ForwarderLambdaFunction"]["Properties"]["Code"]
    code["S3Bucket"] = "deployment"
    s3 = ministack.client("s3")
    s3.create_bucket(Bucket="deployment", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.upload_file(str(package.forwarder_zip), "deployment", code["S3Key"])
    s3.put_object(Bucket="deployment", Key="template.json", Body=json.dumps(template))
    cloudformation = ministack.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{ministack.url}/deployment/template.json",
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _wait_for_health(stack: Ministack, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < give_up:
        try:
            httpx.get(f"{stack.url}/_ministack/health", trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"ministack did not come up: {stack.log.read_text()}")


def _clean_environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    return kept | CREDENTIALS


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
