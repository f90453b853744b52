"""`radstream deliveries`: results for destinations, for the operator."""

from __future__ import annotations

import json
import sys

import click

from gateway.cli.gateway_client import (
    api_key_option,
    ask,
    gateway_client,
    problem_text,
    url_option,
)
from gateway.cli.json_output import json_option
from gateway.schemas.result import RenderingKind


@click.group()
def deliveries() -> None:
    """List the deliveries of a study, and bring its results again.

    `radstream parked` retries and discards what is parked of them.
    """


@deliveries.command("list")
@url_option
@api_key_option
@json_option("each delivery whole, a line each")
@click.argument("study_id")
def list_command(url: str, api_key: str | None, study_id: str, *, as_json: bool) -> None:
    """List what became of a study's results at each destination."""
    with gateway_client(url, api_key) as client:
        for item in ask(client, "GET", f"/v1/studies/{study_id}").json().get("deliveries", ()):
            if as_json:
                click.echo(json.dumps(item))
                continue
            parked = f"  parked {item['parked']}" if "parked" in item else ""
            click.echo(
                f"{item['at']}  {item['destination']}  {item['rendering']}  {item['state']}  "
                f"{item['attempts']} attempts{parked}"
            )
            if "problem" in item:
                click.echo(f"  {problem_text(item['problem'])}")


@deliveries.command()
@url_option
@api_key_option
@click.option("--destination", help="Name of the only destination.")
@click.option(
    "--rendering",
    type=click.Choice([kind.value for kind in RenderingKind]),
    help="Only form of the results.",
)
@json_option("each delivery whole, a line each")
@click.argument("study_ids", nargs=-1, required=True)
def resend(
    *,
    url: str,
    api_key: str | None,
    destination: str | None,
    rendering: str | None,
    study_ids: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring the results of studies to their destinations again.

    Ends with status 1 if a study has no destination, or none in this form.
    """
    given = {"destination": destination, "rendering": rendering}
    query = {name: value for name, value in given.items() if value is not None}
    in_form = "" if rendering is None else f" as {rendering}"
    failed = False
    with gateway_client(url, api_key) as client:
        for study_id in study_ids:
            answer = ask(client, "POST", f"/v1/studies/{study_id}/deliveries", params=query)
            items = answer.json()["deliveries"]
            if not items:
                failed = True
                click.echo(f"{study_id}: no destination gets its results{in_form}", err=True)
            for item in items:
                if as_json:
                    click.echo(json.dumps({"study_id": study_id, **item}))
                    continue
                click.echo(f"{study_id}  {item['destination']}  {item['rendering']}  waiting")
    sys.exit(1 if failed else 0)
