"""The `radstream` command in the process of the tests."""

import asyncio
import re

from click.testing import CliRunner

from gateway.cli.main import main

# As a gateway in this process logs meanwhile, to the same standard output.
_LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")


async def run_beside(*arguments: str) -> tuple[int, str]:
    """Exit code and output, without what gateways of this process log."""
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    lines = result.output.splitlines()
    return result.exit_code, "\n".join(line for line in lines if not _LOGGED.match(line))
