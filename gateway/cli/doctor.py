"""`radstream doctor`: checks an installation, and says which line to change."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.cli.environment import InvalidSettingsError, read_settings
from gateway.cli.gateway_client import default_url
from gateway.cli.json_output import json_option
from gateway.doctor.examination import examine
from gateway.doctor.findings import Check, Finding, Outcome, Side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_COLORS = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAULT: "red"}


@click.command()
@click.option(
    "--url",
    help="Address of the gateway as others reach it; by default that of RADSTREAM_HTTP__HOST, "
    "RADSTREAM_HTTP__PORT and RADSTREAM_HTTP__TLS_CERTIFICATE.",
)
@click.option(
    "--store",
    "stores",
    is_flag=True,
    help="Store an object of a test patient in each DICOM and STOW destination and ask for it "
    "again, and put an empty record into the telemetry stream.",
)
@click.option("--offline", is_flag=True, help="Leave out the gateway's own listeners: it is down.")
@json_option("each finding, a line each")
def doctor(url: str | None, *, stores: bool, offline: bool, as_json: bool) -> None:
    """Check the installation that the settings describe, and say which line to change.

    Looks at this machine's limits, certificates, the gateway's own listeners, the routing document
    and each destination, the store, Triton and its models, telemetry, the OpenID provider and all
    clocks. Run it where the gateway runs, with its environment. An object is made in the store and
    deleted; nothing else is changed without --store.

    Ends with status 1 if there is a fault.
    """
    faults = asyncio.run(_run(url, stores=stores, offline=offline, as_json=as_json))
    sys.exit(1 if faults else 0)


async def _run(url: str | None, *, stores: bool, offline: bool, as_json: bool) -> int:
    counts = dict.fromkeys(Outcome, 0)
    with _quiet("pynetdicom"):
        async for finding in _findings(url, stores=stores, offline=offline):
            counts[finding.outcome] += 1
            if as_json:
                click.echo(json.dumps(asdict(finding)))
            else:
                _tell(finding)
    told = ", ".join(f"{outcome}: {count}" for outcome, count in counts.items())
    click.echo(told, err=as_json)
    return counts[Outcome.FAULT]


async def _findings(url: str | None, *, stores: bool, offline: bool) -> AsyncIterator[Finding]:
    try:
        settings = read_settings()
    except InvalidSettingsError as error:
        for fault in error.faults:
            name, _, detail = fault.partition(": ")
            yield Finding(Check.SETTINGS, name, Outcome.FAULT, detail or fault, Side.GATEWAY, name)
        return
    async for finding in examine(
        settings, None if offline else url or default_url(), stores=stores
    ):
        yield finding


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Keep a library's log out of the findings, which say the same in plain words."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _tell(finding: Finding) -> None:
    outcome = click.style(f"{finding.outcome:<8}", fg=_COLORS.get(finding.outcome))
    click.echo(f"{outcome} {finding.check:<18} {finding.target}: {finding.detail}")
    if finding.change is not None:
        click.echo(f"{'':9}{finding.side}: {finding.change}")
