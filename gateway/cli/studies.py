"""`radstream studies` and `radstream study`: the console's list and page, as lines."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.gateway_client import (
    api_key_option,
    ask,
    gateway_client,
    problem_text,
    url_option,
)
from gateway.cli.json_output import json_option
from gateway.schemas.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx


@click.command()
@url_option
@api_key_option
@click.option(
    "--state", type=click.Choice([status.value for status in Status]), help="Only of this status."
)
@click.option("--sender", help="Only of this sender.")
@click.option("--accession-number", help="Only of this order.")
@click.option("--patient-id", help="Only of this patient.")
@click.option(
    "--days",
    type=click.IntRange(1, 90),
    default=30,
    show_default=True,
    help="Only received in so many last days.",
)
@click.option(
    "--number",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Studies at most.",
)
@json_option("each study whole, a line each")
def studies(
    *,
    url: str,
    api_key: str | None,
    days: int,
    number: int,
    as_json: bool,
    **filters: str | None,
) -> None:
    """List studies, the newest first.

    A line has the time of receipt, study_id, status, number of images, positive findings and
    senders.
    """
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days - 1)
    query = {name: value for name, value in filters.items() if value is not None}
    with gateway_client(url, api_key) as client:
        for study_found in _listed(client, query | {"from": first.isoformat()}, number):
            click.echo(json.dumps(study_found) if as_json else _line(study_found))


@click.command()
@url_option
@api_key_option
@json_option("the study's document whole")
@click.argument("study_id")
def study(study_id: str, *, url: str, api_key: str | None, as_json: bool) -> None:
    """Show a study: status, findings of its images, failures, deliveries and warnings."""
    with gateway_client(url, api_key) as client:
        document = ask(client, "GET", f"/v1/studies/{study_id}").json()
    click.echo(json.dumps(document) if as_json else "\n".join(_lines(document)))


def _listed(
    client: httpx.Client, query: Mapping[str, str], number: int
) -> Iterator[dict[str, Any]]:
    """Yield so many studies at most, page by page."""
    page = ask(client, "GET", "/v1/studies", params={**query, "limit": str(min(number, 200))})
    while True:
        document = page.json()
        yield from document["studies"][:number]
        number -= len(document["studies"])
        if number <= 0 or "next" not in document:
            return
        page = ask(client, "GET", document["next"])


def _line(found: Mapping[str, Any]) -> str:
    positive = ", ".join(found["positive"]) or "-"
    senders = ", ".join(found.get("senders", ())) or "-"
    return (
        f"{found['received_at']}  {found['study_id']}  {found['status']}  {found['images']}  "
        f"{positive}  {senders}"
    )


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"study {document['study_id']}  {document['status']}"
    for image in document.get("images", ()):
        yield f"image {image['number']}  {image['rows']} x {image['columns']}"
        for reading in image["readings"]:
            model = reading["model"]
            yield from (
                f"  {model['name']}/{model['version']}  {finding['label']}  "
                f"{finding['probability']:.3f}  {verdict(finding)}"
                for finding in reading["findings"]
            )
    for delivery in document.get("deliveries", ()):
        where = f"{delivery['destination']}  {delivery['rendering']}"
        yield f"delivery  {where}  {delivery['state']}  {delivery['attempts']} attempts"
    yield from remarks(document)


def remarks(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each image that was not processed, each failure and each warning."""
    for failed in (*document.get("not_processed", ()), *document.get("failures", ())):
        part = f"{failed['part']}: " if "part" in failed else ""
        yield f"not processed: {part}{problem_text(failed['problem'])}"
    if more := document.get("not_processed_left_out"):
        yield f"not processed: {more} more images"
    for warning in document.get("warnings", ()):
        yield f"warning: {warning['pointer']} {warning['detail']}"


def verdict(finding: Mapping[str, Any]) -> str:
    """Return the side of its threshold that a finding is on, in a word."""
    if "positive" not in finding:
        return "not applicable"
    return "positive" if finding["positive"] else "negative"
