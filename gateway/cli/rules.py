"""`radstream rules`: explains, compares, tests and publishes a routing document."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.environment import read_settings
from gateway.cli.gateway_client import api_key_option, ask, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.opened_store import StoreNotReadError, opened_store
from gateway.errors import StoreUnavailableError
from gateway.routing.conditions import Facts
from gateway.routing.document import RoutingFileError, judged, read_file, read_routing
from gateway.routing.explain import explained
from gateway.routing.in_force import Routes, digest_of
from gateway.routing.sources import StoredRouting
from gateway.schemas.routing_rules import Lane
from gateway.settings import DELIMITER, PREFIX
from gateway.storage.layout import ROUTING_DOCUMENT
from gateway.studies.routed_files import (
    Arrival,
    ReadFile,
    RoutedFiles,
    UnroutableFileError,
    files_in,
)
from gateway.studies.study import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from gateway.routing.rules import Decision
    from gateway.schemas.routing_explanation import ConditionExplanation, ImageRouting
    from gateway.schemas.routing_rules import Example
    from gateway.settings import StoreSettings

_FILE = f"{PREFIX}ROUTING{DELIMITER}FILE"
_STORED = f"{PREFIX}ROUTING{DELIMITER}STORED"
_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def rules() -> None:
    """Show, explain, compare, test and publish the rules of a routing document."""


def _arrival_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--at",
            type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
            help="Time of arrival, UTC; now if not given.",
        ),
        click.option("--sender", default="anonymous", help="Configured name of the sender."),
        click.option(
            "--route",
            type=click.Choice([route.value for route in Route]),
            default=Route.REST.value,
            show_default=True,
            help="Way in by which images come.",
        ),
    ):
        command = option(command)
    return command


@rules.command()
@url_option
@api_key_option
@json_option("the document whole, with its version")
def show(url: str, api_key: str | None, *, as_json: bool) -> None:
    """Show the routing document that a gateway has in force."""
    with gateway_client(url, api_key) as client:
        report = ask(client, "GET", "/v1/rules").json()
    tell(report, "\n".join(_report_lines(report)), as_json=as_json)


@rules.command()
@click.argument("files", nargs=-1, required=True, type=_PATH)
@click.option(
    "--document",
    type=_PATH,
    envvar=_FILE,
    required=True,
    help=f"The routing document; by default the one that {_FILE} names.",
)
@json_option("each explanation whole, a line each")
@_arrival_options
def explain(
    files: tuple[Path, ...],
    *,
    document: Path,
    route: str,
    sender: str,
    at: dt.datetime | None,
    as_json: bool,
) -> None:
    """Print for each image which rules apply to it and why, and which models read it.

    A sidecar beside a file gives its metadata, as for `radstream send`. Values of the image are
    printed, which may name a patient.
    """
    routes, failed = _routes(document), False
    with closing(RoutedFiles(_arrival(route, sender, at))) as routed:
        for file in files:
            try:
                read = ReadFile.at(file)
                facts = asyncio.run(routed.facts(read, routes))
            except UnroutableFileError as error:
                click.echo(f"{file}: refused before any rule: {error}", err=True)
                failed = True
                continue
            sha256 = None if read.data is None else hashlib.sha256(read.data).hexdigest()
            routing = explained(routes, facts, sha256)
            as_text = "\n".join(_lines(file, routing))
            click.echo(routing.model_dump_json(exclude_none=True) if as_json else as_text)
    sys.exit(1 if failed else 0)


@rules.command()
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option(
    "--against",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of images, with their sidecars, and of metadata documents without images.",
)
@json_option("each image that is routed differently, and then the counts, a line each")
@_arrival_options
def diff(
    old: Path,
    new: Path,
    *,
    folder: Path,
    route: str,
    sender: str,
    at: dt.datetime | None,
    as_json: bool,
) -> None:
    """Print the images that two routing documents route differently, with their study_id."""
    documents = _routes(old), _routes(new)
    with closing(RoutedFiles(_arrival(route, sender, at))) as routed:
        changed, count = asyncio.run(_compare(routed, folder, documents, as_json=as_json))
    text = f"{changed} of {count} images are routed differently"
    tell({"changed": changed, "images": count}, text, as_json=as_json)


async def _compare(
    routed: RoutedFiles, folder: Path, documents: tuple[Routes, Routes], *, as_json: bool
) -> tuple[int, int]:
    """Print the images that documents route differently; return their number, and that of all."""
    count = changed = 0
    for path in files_in(folder):
        try:
            file = ReadFile.at(path)
            facts = [await routed.facts(file, each) for each in documents]
        except UnroutableFileError as error:
            click.echo(f"{path}: refused before any rule: {error}", err=True)
            continue
        count += 1
        was, will_be = (
            _decided(each.rules.decide(found)) for each, found in zip(documents, facts, strict=True)
        )
        if was != will_be:
            changed += 1
            study_id = facts[1].metadata.get("study_id")
            named = {"study_id": study_id, "file": str(path), "before": was, "after": will_be}
            tell(named, f"{study_id}  {path}: {was} -> {will_be}", as_json=as_json)
    return changed, count


@rules.command("test")
@json_option("each example and its faults, and then the counts, a line each")
@click.argument("document", type=_PATH)
def test_command(document: Path, *, as_json: bool) -> None:
    """Run the examples of a routing document; end with status 1 if one fails."""
    routes = _routes(document)
    failed = 0
    for example in routes.document.examples:
        faults = list(_faults(routes, example))
        failed += bool(faults)
        lines = [f"{'failed' if faults else 'passed'}  {example.name}"]
        lines += [f"        {fault}" for fault in faults]
        tell({"example": example.name, "faults": faults}, "\n".join(lines), as_json=as_json)
    examples = len(routes.document.examples)
    counts = {"passed": examples - failed, "examples": examples}
    tell(counts, f"{examples - failed} of {examples} examples passed", as_json=as_json)
    sys.exit(1 if failed else 0)


@rules.command()
@click.argument("file", type=_PATH)
@json_option("the version and its key in the store")
def publish(file: Path, *, as_json: bool) -> None:
    """Put a routing document into the store; gateways with RADSTREAM_ROUTING__STORED follow it.

    It is judged whole first, for the tenants of the settings, and a wrong one changes nothing. No
    gateway need run: the settings name the store, as RADSTREAM_STORE__FOLDER; where they leave out
    RADSTREAM_ROUTING__STORED, that is told. Status 2 if the store does not answer.
    """
    settings = read_settings()
    try:
        data = read_file(file)
        document = judged(data, settings.tenancy.tenants)
    except RoutingFileError as error:
        raise _no_document(file, error) from error
    try:
        asyncio.run(_published(settings.store, data))
    except StoreUnavailableError as error:
        raise StoreNotReadError(f"the store does not answer: {error.reason}") from error
    told = {"version": digest_of(document), "key": ROUTING_DOCUMENT}
    tell(told, f"{ROUTING_DOCUMENT} is version {told['version']}", as_json=as_json)
    if not settings.routing.stored:
        click.echo(f"a gateway of these settings does not read it: {_STORED} is not true", err=True)


async def _published(settings: StoreSettings, data: bytes) -> None:
    async with opened_store(settings, is_written=True, is_made=True) as objects:
        await StoredRouting(objects).write(data)


def _report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    if not report["is_set"]:
        yield "no routing document is set: the models' contracts decide"
        return
    yield f"version {report['version']}, in force since {report['since']}"
    if "fault" in report:
        yield f"the present content of its place is not in force: {report['fault']}"
    document = report["document"]
    for rule in document.get("rules", ()):
        yield f"rule {rule['name']}: {json.dumps(rule['when'])}"
        yield from _part_lines(rule)
    if document.get("otherwise") is not None:  # it may be there as null: as left out
        yield "otherwise"
        yield from _part_lines(document["otherwise"])
    for each in document.get("destinations", ()):
        yield f"destination {each['name']}  {each['kind']}"


def _part_lines(part: Mapping[str, Any]) -> Iterator[str]:
    for model in part.get("models", ()):
        version = f" version {model['version']}" if "version" in model else ""
        canary = model.get("canary")
        share = f", canary {canary['percent']:g} %" if canary else ""
        yield f"  model {model['name']}{version}, {model.get('mode', 'live')}{share}"
    if part.get("destinations"):
        yield f"  destinations {', '.join(part['destinations'])}"
    if part.get("completion"):
        yield f"  completion {json.dumps(part['completion'])}"
    if part.get("lane"):
        yield f"  lane {part['lane']}"
    if part.get("keeps_out"):
        yield "  keeps out"


def _routes(path: Path) -> Routes:
    try:
        return Routes(read_routing(path, tenants=None))
    except RoutingFileError as error:
        raise _no_document(path, error) from error


def _no_document(path: Path, error: RoutingFileError) -> click.ClickException:
    return click.ClickException(f"{path} is no routing document: {error}")


def _arrival(route: str, sender: str, at: dt.datetime | None) -> Arrival:
    now = dt.datetime.now(dt.UTC) if at is None else at.replace(tzinfo=dt.UTC)
    return Arrival(Route(route), sender, now)


def _lines(file: Path, routing: ImageRouting) -> Iterator[str]:
    yield f"{file}: {routing.outcome}"
    for model in routing.models:
        version = f" version {model.version}" if model.version else ""
        yield f"  model {model.name}{version}, {model.mode}"
    if routing.destinations:
        yield f"  destinations {', '.join(routing.destinations)}"
    if routing.lane is not Lane.ROUTINE:
        yield f"  lane {routing.lane}"
    for rule in routing.rules:
        kind = ", built in" if rule.built_in else ""
        effect = ", keeps out" if rule.keeps_out else ""
        yield f"  {_mark(holds=rule.applies)} rule {rule.name}{kind}{effect}"
        yield from _conditions(rule.when, 4)


def _conditions(condition: ConditionExplanation, indent: int) -> Iterator[str]:
    values = ""
    if condition.values is not None:
        values = f"  [{', '.join(map(str, condition.values))}]"
    yield f"{' ' * indent}{_mark(holds=condition.holds)} {condition.condition}{values}"
    for part in condition.parts or ():
        yield from _conditions(part, indent + 2)


def _mark(*, holds: bool) -> str:
    return "+" if holds else "-"


def _decided(decision: Decision) -> str:
    parts = [decision.outcome.value, *decision.rules]
    parts += [f"{arm} {arm.mode.value}" for arm in (*decision.models, *decision.shadows)]
    parts += [f"to {name}" for name in decision.destinations]
    if decision.lane is not Lane.ROUTINE:
        parts.append(f"lane {decision.lane}")
    return ", ".join(parts)


def _faults(routes: Routes, example: Example) -> Iterator[str]:
    decision = routes.rules.decide(
        Facts(
            metadata=example.metadata,
            received_at=example.received_at,
            route=example.route,
            sender=example.sender,
            tenant=example.tenant or routes.tenant_of(example.sender),
            ae_title=example.ae_title,
            dicom=example.dicom,
        )
    )
    found = {
        "outcome": decision.outcome.value,
        "rules": decision.rules,
        "models": tuple(map(str, decision.models)),
        "destinations": decision.destinations,
        "lane": decision.lane,
    }
    for name, value in found.items():
        expected = getattr(example.expect, name)
        if expected is not None and expected != value:
            yield f"{name}: {_told(value)}, not {_told(expected)}"


def _told(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "none"
