"""`radstream report`: what an operator or a manager asks of the telemetry of one machine."""

from __future__ import annotations

import datetime as dt
import json
import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.environment import read_settings
from gateway.cli.gateway_client import api_key_option, gateway_client, url_option
from gateway.cli.health import exported, read_healths
from gateway.cli.json_output import json_option
from gateway.cli.judged_studies import judged_studies
from gateway.cli.progress import progress
from gateway.observability.pseudonyms import KEY_FILE, Pseudonyms
from gateway.settings import DELIMITER, PREFIX, StoreSettings, TelemetrySettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import ModuleType
    from typing import TextIO

    from gateway.report import Records

_DAY = click.DateTime(formats=["%Y-%m-%d"])
# As the named queries have it where no day is given.
_DAYS = 30
_EXTRA = {"duckdb", "matplotlib", "sqlglot"}


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=TelemetrySettings().folder,
    show_default=True,
    envvar=f"{PREFIX}TELEMETRY{DELIMITER}FOLDER",
    help="The folder to which the gateway writes its telemetry.",
)
@click.option("--since", type=_DAY, help="First day, UTC; 30 days ago if not given.")
@click.option("--until", type=_DAY, help="Last day, UTC; today if not given.")
@click.option(
    "--price",
    "given",
    metavar="NAME=USD",
    multiple=True,
    help="Your own price instead of AWS's, such as instance_hour=0.12.",
)
@click.option(
    "--html",
    "page_file",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write a page with plots and all rows to this file as well.",
)
@click.option(
    "--store",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the object store, or a copy of it: studies whose findings a shadow model would "
    "change are listed by their study_id.",
)
@click.option(
    "--health",
    "with_health",
    is_flag=True,
    help="Tell the drift of models as well, from --store or the store that the settings name.",
)
@click.option(
    "--feedback",
    "judged",
    is_flag=True,
    help="Ask the gateway for the feedback on its studies as well, and tell how models agree.",
)
@click.option(
    "--examinations",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a row for each study, model version and label to this file as well, as registries "
    "ask for it: CSV where its name ends in .csv, else JSON lines. With --feedback each has the "
    "truth, too; it takes the gateway's own settings of telemetry.",
)
@url_option
@api_key_option
@json_option("the rows of each answer by its name")
def report(
    folder: Path,
    *,
    since: dt.datetime | None,
    until: dt.datetime | None,
    given: tuple[str, ...],
    page_file: TextIO | None,
    store: Path | None,
    with_health: bool,
    judged: bool,
    examinations: Path | None,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Answer Athena's named queries from the telemetry files of this machine.

    Studies and their outcomes, latency by stage, a comparison of models, the cost of a thousand
    images, and the agreement of shadow models; if wanted, the models' drift and what is known of
    their truth.
    """
    reporting = _reporting()
    paid = _paid(given, reporting.prices())
    with closing(_records(reporting, folder, until)) as records:
        first = since.date() if since else None
        questions = reporting.questions()
        with progress("questions", len(questions)) as shown:
            asked = shown.over(questions)
            found = reporting.answers(records, asked, since=first, paid=paid)
        found["agreement"] = reporting.agreement(records, since=first)
        if store is not None:
            found["changed_cases"] = reporting.changed_cases(store)
        about = records.described()
        if not found["summary"].records()[0]["submissions"]:
            raise click.ClickException(
                f"no study came to its end in these days; {folder} has {about}"
            )
        if with_health:
            found["drift"] = reporting.drift(_healths(store))
        if judged:
            with (
                gateway_client(url, api_key) as client,
                progress("studies with feedback", None) as shown,
            ):
                studies = shown.over(judged_studies(client, *_days(since, until)))
                if examinations is not None:
                    study_ref = _pseudonyms().study_ref
                    studies = reporting.kept_judgements(records, studies, study_ref)
                found |= reporting.reader_agreement(studies)
        if examinations is not None:
            _write(reporting, records, examinations, first)
    if as_json:
        rows = {name: each.records() for name, each in found.items()}
        click.echo(json.dumps({"telemetry": str(about), **rows}, default=str))
    else:
        for line in reporting.lines(found, about):
            click.echo(line)
    if page_file is not None:
        page_file.write(reporting.page(found, about, paid, gateway_url=url))
        click.echo(f"\nThe page is {page_file.name}", err=as_json)


def _records(reporting: ModuleType, folder: Path, until: dt.datetime | None) -> Records:
    """Return the records of a folder; end the command if it has none."""
    files = sorted(folder.glob("telemetry-*.jsonl"))
    try:
        records: Records = reporting.Records(files, until=until.date() if until else None)
    except FileNotFoundError as error:
        raise click.ClickException(
            f"there is no telemetry in {folder}: a gateway writes it there when it has studies, "
            "RADSTREAM_TELEMETRY__KIND is file and RADSTREAM_TELEMETRY__FOLDER is that folder"
        ) from error
    return records


def _write(reporting: ModuleType, records: Records, file: Path, since: dt.date | None) -> None:
    """Write the rows of the examinations, and tell their number."""
    try:
        count = reporting.write_examinations(records, file, since=since)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error}") from error
    click.echo(f"{file} has {count:,} rows of examinations", err=True)


def _pseudonyms() -> Pseudonyms:
    """Return the names of studies in the telemetry; end the command if their key is not here."""
    settings = read_settings().telemetry
    if settings.study_ref_key is not None:
        return Pseudonyms(settings.study_ref_key.get_secret_value())
    file = settings.spool_folder / KEY_FILE
    try:
        return Pseudonyms(file.read_text())
    except OSError as error:
        raise click.ClickException(
            "which study a judgement is of takes the key of the telemetry: there is neither "
            f"{PREFIX}TELEMETRY{DELIMITER}STUDY_REF_KEY nor {file}"
        ) from error


def _healths(folder: Path | None) -> Iterator[dict[str, Any]]:
    """Return the healths in a store's folder, or else in the store of the settings."""
    settings = read_settings().store if folder is None else StoreSettings(folder=folder)
    return map(exported, read_healths(settings))


def _days(since: dt.datetime | None, until: dt.datetime | None) -> tuple[dt.date, dt.date]:
    """Return the first and the last day."""
    last = (until or dt.datetime.now(dt.UTC)).date()
    return since.date() if since else last - dt.timedelta(days=_DAYS), last


def _reporting() -> ModuleType:
    """Return the package that makes it; end the command if it is not installed."""
    try:
        from gateway import report as reporting  # noqa: PLC0415 - its extra is not needed to serve
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise click.ClickException(
            f"the report needs {error.name}: pip install 'radstream[report]' brings it"
        ) from error
    return reporting


def _paid(given: tuple[str, ...], known: Collection[str]) -> dict[str, float]:
    """Return the prices of the command line by name."""
    paid = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            paid[name] = float(value)
        except ValueError:
            paid[name] = math.nan
        if name not in known or not 0 <= paid[name] < math.inf:
            raise click.BadParameter(
                f"{each} is not NAME=USD with one of the names {', '.join(known)}",
                param_hint="--price",
            )
    return paid
