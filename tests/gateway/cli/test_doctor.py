"""`radstream doctor`: its lines, its JSON and its status."""

import asyncio
import json

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from tests.support.aws import free_port
from tests.support.gateway import LiveGateway


async def doctor(*arguments: str, **environment: str) -> Result:
    runner = CliRunner()
    return await asyncio.to_thread(runner.invoke, main, ["doctor", *arguments], env=environment)


def environment_of(gateway: LiveGateway) -> dict[str, str]:
    settings = gateway.settings
    return {
        "RADSTREAM_TRITON__URL": settings.triton.url,
        "RADSTREAM_STORE__FOLDER": str(settings.store.folder),
        "RADSTREAM_TELEMETRY__FOLDER": str(settings.telemetry.folder),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(settings.telemetry.spool_folder),
        "RADSTREAM_DIMSE__LISTEN": "false",
    }


async def test_an_installation_without_a_fault(gateway: LiveGateway):
    done = await doctor("--url", gateway.url, **environment_of(gateway))
    assert done.exit_code == 0, done.output
    assert f"{gateway.url}: answers and is ready" in done.output
    assert "fault: 0" in done.output


async def test_a_fault_ends_it_with_status_1_and_says_the_line(gateway: LiveGateway):
    environment = environment_of(gateway) | {"RADSTREAM_TRITON__URL": f"127.0.0.1:{free_port()}"}
    done = await doctor("--offline", **environment)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("fault"))
    assert "nothing listens" in lines[at]
    assert lines[at + 1].strip().startswith("either: mend RADSTREAM_TRITON__URL")
    assert "listener           http" not in done.output


async def test_json_is_a_finding_a_line(gateway: LiveGateway):
    done = await doctor("--url", gateway.url, "--json", **environment_of(gateway))
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"check", "target", "outcome", "detail", "side", "change"} == findings[0].keys()
    assert "triton" in {finding["check"] for finding in findings}


@pytest.mark.parametrize("arguments", [(), ("--json",)])
async def test_settings_that_are_not_valid_are_findings(arguments: tuple[str, ...]):
    done = await doctor(*arguments, RADSTREAM_HTTP__PORT="many", RADSTREAM_COLOUR="blue")
    assert done.exit_code == 1
    assert "RADSTREAM_HTTP__PORT" in done.output
    assert "no such setting" in done.output
