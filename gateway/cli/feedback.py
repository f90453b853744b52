"""`radstream feedback`: what reports say of studies, brought to the gateway."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from gateway.cli.gateway_client import api_key_option, ask_patiently, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.judgement_list import JudgementListError, LineError, listed_judgements
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.cli.judgement_list import ListedJudgement

_OF_ALL_LINES = {
    httpx.codes.UNAUTHORIZED,
    httpx.codes.FORBIDDEN,
    httpx.codes.SERVICE_UNAVAILABLE,
}


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
    """Bring the judgements of a CSV, such as of reports; again, it changes nothing.

    Columns: study_id, study_instance_uid or accession_number; label; judgement (agree, disagree,
    present, absent); and, if wanted, author, source (report if left out) and model (NAME or
    NAME:VERSION that is agreed or disagreed with). A line at fault is told and left out; the status
    is 1 then. The key needs studies:feedback, and studies:read unless there are study_ids.
    """
    try:
        with gateway_client(url, api_key) as client:
            failed = _import(client, listed_judgements(file), as_json=as_json)
    except JudgementListError as error:
        raise click.ClickException(f"{file} {error}") from error
    sys.exit(1 if failed else 0)


def _import(client: httpx.Client, lines: Iterable[ListedJudgement], *, as_json: bool) -> int:
    """Bring each line; return the number of those that were left out."""
    brought = failed = 0
    with progress("judgements", None) as shown:
        for line in shown.over(lines):
            try:
                _bring(client, line)
                brought += 1
            except LineError as error:
                failed += 1
                fault = {"line": line.number, "fault": str(error)}
                text = f"line {line.number}: {error}"
                shown.echo(json.dumps(fault) if as_json else text, err=not as_json)
    counts = {"brought": brought, "left_out": failed}
    tell(counts, f"judgements brought: {brought}, left out: {failed}", as_json=as_json)
    return failed


def _bring(client: httpx.Client, line: ListedJudgement) -> None:
    if line.fault is not None:
        raise LineError(line.fault)
    study_id = line.identifiers.get("study_id") or _study_of(client, line.identifiers)
    _answer(client, "POST", f"/v1/studies/{study_id}/feedback", json=line.document)


def _answer(client: httpx.Client, method: str, path: str, **content: Any) -> Any:
    """Return the document in the answer.

    Raises
    ------
    LineError
        It is a problem of this line alone.
    """
    try:
        response = ask_patiently(client, method, path, **content)
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
    if response.status_code in _OF_ALL_LINES:
        raise click.ClickException(told)
    raise LineError(told)


def _study_of(client: httpx.Client, identifiers: Mapping[str, str]) -> str:
    """Return the id of the only study that these identifiers lead to."""
    found = _answer(client, "GET", "/v1/studies", params=identifiers)
    if "unreadable" in found:  # it may be the one that is meant
        raise LineError("a document of a study that these identifiers lead to is unreadable")
    studies = [str(each["study_id"]) for each in found["studies"]]
    if len(studies) != 1:
        raise LineError(f"{len(studies) or 'no'} studies have this {' and '.join(identifiers)}")
    return studies[0]
