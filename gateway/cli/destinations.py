"""`radstream destinations`: the console's page of destinations, as lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.gateway_client import api_key_option, ask, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.table import table

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = ("DESTINATION", "STATE", "WAITING", "OLDEST", "PARKED", "TAKEN", "FAILED", "ADDRESS")


@click.group()
def destinations() -> None:
    """List the destinations of results, and test them."""


@destinations.command("list")
@url_option
@api_key_option
@json_option("each destination whole, a line each")
def list_command(url: str, api_key: str | None, *, as_json: bool) -> None:
    """List the destinations of a gateway: state, what waits and what is parked for each."""
    with gateway_client(url, api_key) as client:
        found = ask(client, "GET", "/v1/destinations").json()["destinations"]
    if as_json:
        for each in found:
            tell(each, "", as_json=True)
        return
    lines = list(table(_HEAD, [_row(each) for each in found]))
    click.echo("\n".join(lines) or "the routing document has no destinations")


@destinations.command("test")
@url_option
@api_key_option
@json_option("the outcome of each destination, a line each")
@click.argument("names", nargs=-1, required=True)
def test_command(names: tuple[str, ...], *, url: str, api_key: str | None, as_json: bool) -> None:
    """Test the way from the gateway to destinations; nothing is changed there.

    Ends with status 1 if a step fails.
    """
    failed = 0
    with gateway_client(url, api_key) as client:
        for name in names:
            outcome = ask(client, "POST", f"/v1/destinations/{name}/test").json()
            failed += not outcome["passed"]
            lines = [f"{name}: {'passed' if outcome['passed'] else 'failed'}"]
            lines += [
                f"  {'passed' if each['passed'] else 'failed'}  {each['step']}: {each['detail']}"
                for each in outcome["steps"]
            ]
            tell(outcome, "\n".join(lines), as_json=as_json)
    sys.exit(1 if failed else 0)


def _row(each: Mapping[str, Any]) -> tuple[object, ...]:
    oldest = f"{each['oldest_s']:.0f} s" if each["waiting"] else "-"
    return (
        *(each["name"], each["state"], each["waiting"], oldest, each["parked"]),
        *(each["acknowledged"], each["failed"], each.get("address", "-")),
    )
