"""`radstream parked`: parked items of the drop folder, for the operator."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from gateway.cli.gateway_client import (
    api_key_option,
    ask,
    gateway_client,
    problem_text,
    url_option,
)
from gateway.cli.json_output import json_option, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@click.group()
def parked() -> None:
    """List, retry and discard parked items: dropped files, accepted studies, results."""


@parked.command("list")
@url_option
@api_key_option
@json_option("each item whole, a line each")
def list_command(url: str, api_key: str | None, *, as_json: bool) -> None:
    """List parked items with their problems."""
    with gateway_client(url, api_key) as client:
        for item in _items(client):
            if as_json:
                click.echo(json.dumps(item))
                continue
            study = f"  study {item['study_id']}" if "study_id" in item else ""
            half = item.get("half", "work")
            click.echo(f"{item['id']}  {item['parked_at']}  {half}  {item['key']}{study}")
            _tell(item["problem"])


@parked.command()
@url_option
@api_key_option
@json_option("the outcome of each item whole, a line each")
@click.argument("ids", nargs=-1, required=True)
def retry(url: str, api_key: str | None, ids: tuple[str, ...], *, as_json: bool) -> None:
    """Retry parked items, once the fault is mended."""
    failed = 0
    with gateway_client(url, api_key) as client:
        for parked_id in ids:
            answer = ask(client, "POST", f"/v1/parked/{parked_id}/retry").json()
            failed += answer["outcome"] == "parked"
            line = f"{parked_id}  {answer['outcome']}  {answer.get('study', '')}".rstrip()
            tell({"id": parked_id, **answer}, line, as_json=as_json)
            for item in () if as_json else answer["parked"]:
                _tell(item["problem"])
    sys.exit(1 if failed else 0)


@parked.command()
@url_option
@api_key_option
@json_option("the id of each item that was discarded, a line each")
@click.argument("ids", nargs=-1, required=True)
def discard(url: str, api_key: str | None, ids: tuple[str, ...], *, as_json: bool) -> None:
    """Discard parked items; their objects stay in the drop folder."""
    with gateway_client(url, api_key) as client:
        for parked_id in ids:
            ask(client, "DELETE", f"/v1/parked/{parked_id}")
            tell({"id": parked_id}, f"{parked_id}  discarded", as_json=as_json)


def _items(client: httpx.Client) -> Iterator[dict[str, Any]]:
    query: str | None = "limit=200"
    while query is not None:
        page = ask(client, "GET", f"/v1/parked?{query}").json()
        yield from page["parked"]
        # The next page's path may begin with a proxy's prefix, which `--url` has or must not have.
        query = urlsplit(page["next"]).query if "next" in page else None


def _tell(problem: dict[str, Any]) -> None:
    click.echo(f"  {problem_text(problem)}")
