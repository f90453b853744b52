"""Schemathesis finds nothing in the OpenAPI document that the gateway does not keep to."""

import asyncio
import os
import sys
from pathlib import Path

from gateway.access.callers import Scope
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import ROOT, running_command

CONFIG = ROOT / "tests/e2e/schemathesis.toml"


async def schemathesis(url: str, *options: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of a run that is the same each time."""
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run"),
        *(f"{url}/openapi.json", "--phases", "examples,coverage,fuzzing", "--seed", "1"),
        *("--generation-deterministic", "--no-color", *options),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # of the hooks
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_gateway_that_asks_nobody_keeps_to_its_document(
    triton: EmbeddedTriton, tmp_path: Path
):
    async with running_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_TRITON__URL=triton.grpc_url,
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
    ) as command:
        # Whether it asks is the operator's choice, which the document does not know.
        options = ("--max-examples", "20", "--exclude-checks", "ignored_auth")
        code, out = await schemathesis(await command.url(), *options, folder=tmp_path)
    assert code == 0, out


async def test_a_gateway_that_asks_for_keys_keeps_to_its_document(
    triton: EmbeddedTriton, tmp_path: Path
):
    key, _ = add_key(tmp_path / "keys.json", "schemathesis", *Scope)
    async with running_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_TRITON__URL=triton.grpc_url,
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        RADSTREAM_ACCESS__KEY_FILE=str(tmp_path / "keys.json"),
    ) as command:
        options = ("--max-examples", "10", "--header", f"X-API-Key: {key}")
        code, out = await schemathesis(await command.url(), *options, folder=tmp_path)
    assert code == 0, out
