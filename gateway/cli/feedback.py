"""`radstream feedback`: what reports say of studies, brought to the gateway."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import httpx

from gateway.cli.gateway_client import api_key_option, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.progress import progress
from gateway.schemas.feedback import Judgement, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = {"label", "judgement"}
_KNOWN = _NEEDED | {"study_id", "accession_number", "author", "source"}


class LineError(Exception):
    """Fault of a line, for which it was left out."""


@click.group()
def feedback() -> None:
    """Bring judgements on the findings of studies.

    `radstream report --feedback` tells of them.
    """


@feedback.command("import")
@url_option
@api_key_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option("the faults, a line each, and then the counts")
def import_command(url: str, api_key: str | None, file: Path, *, as_json: bool) -> None:
    """Bring the judgements of a CSV, such as of reports; may be repeated.

    Columns: study_id or accession_number, label, judgement (agree, disagree, present, absent) and,
    if wanted, author and source (report if left out). A line at fault is told and left out; the
    status is 1 then. The key needs studies:feedback, and studies:read for accession numbers.
    """
    try:
        with (
            file.open(encoding="utf-8-sig", newline="") as lines,
            gateway_client(url, api_key) as client,
        ):
            failed = _import(client, csv.DictReader(lines), file, as_json=as_json)
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{file} is no CSV in UTF-8: {error}") from error
    sys.exit(1 if failed else 0)


def _import(client: httpx.Client, reader: csv.DictReader[str], file: Path, *, as_json: bool) -> int:
    """Bring each line; return the number of those that were left out."""
    brought = failed = 0
    columns = set(reader.fieldnames or ())
    if not columns >= _NEEDED or not columns & {"study_id", "accession_number"}:
        raise click.ClickException(
            f"{file} needs the columns study_id or accession_number, label and judgement"
        )
    if columns - _KNOWN:
        unknown = ", ".join(sorted(columns - _KNOWN))
        raise click.ClickException(f"{file} has columns that are not known: {unknown}")
    with progress("judgements", None) as shown:
        for row in shown.over(reader):
            try:
                _bring(client, {name: (row[name] or "").strip() for name in columns})
                brought += 1
            except LineError as error:
                failed += 1
                fault = {"line": reader.line_num, "fault": str(error)}
                text = f"line {reader.line_num}: {error}"
                shown.echo(json.dumps(fault) if as_json else text, err=not as_json)
    counts = {"brought": brought, "left_out": failed}
    tell(counts, f"judgements brought: {brought}, left out: {failed}", as_json=as_json)
    return failed


def _bring(client: httpx.Client, row: Mapping[str, str]) -> None:
    document: dict[str, Any] = {
        "label": row["label"],
        "judgement": row["judgement"].lower(),
        "source": row.get("source") or Source.REPORT,
    }
    if row["judgement"].lower() not in set(Judgement):
        raise LineError(f"the judgement is none of {', '.join(Judgement)}")
    if row.get("author"):
        document["author"] = row["author"]
    study_id = row.get("study_id") or _study_of(client, row.get("accession_number", ""))
    # A file from elsewhere must not choose another route for the key.
    path = f"/v1/studies/{quote(study_id, safe='')}/feedback"
    _answer(client, "POST", path, json=document)


def _answer(client: httpx.Client, method: str, path: str, **content: Any) -> Any:
    """Return the document in the answer.

    Raises
    ------
    LineError
        It is a problem of this line alone.
    """
    try:
        response = client.request(method, path, **content)
    except httpx.TransportError as error:
        raise click.ClickException(f"{client.base_url} does not answer: {error}") from error
    if response.is_success:
        return response.json()
    try:
        problem = response.json()
        faults = "; ".join(
            f"{each['pointer']} {each['detail']}" for each in problem.get("errors", ())
        )
        told = f"{problem['title']}. {faults or problem['detail']}"
    except (ValueError, KeyError) as error:
        told = f"{client.base_url} answers {response.status_code}"
        raise click.ClickException(told) from error
    if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise click.ClickException(told)
    raise LineError(told)


def _study_of(client: httpx.Client, accession_number: str) -> str:
    """Return the id of the only study of an order."""
    if not accession_number:
        raise LineError("there is neither a study_id nor an accession_number")
    found = _answer(client, "GET", "/v1/studies", params={"accession_number": accession_number})
    studies = [str(each["study_id"]) for each in found["studies"]]
    if len(studies) != 1:
        raise LineError(f"{len(studies) or 'no'} studies have this accession number")
    return studies[0]
