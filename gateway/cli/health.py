"""`radstream health`: what models are sent and say, against their reference."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.environment import read_settings
from gateway.cli.gateway_client import api_key_option, ask, gateway_client, url_option
from gateway.cli.opened_store import StoreNotReadError, opened_store
from gateway.errors import StoreUnavailableError
from gateway.monitoring.silences import healths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.monitoring.documents import ModelHealth
    from gateway.settings import StoreSettings

_COLUMNS = (
    *("model", "version", "readings", "reference_source", "reference_readings"),
    *("reference_until", "signal", "value", "low", "high", "limit", "n", "alarm_since"),
)


def _change_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--reason", required=True, help="Reason, in a sentence."),
        click.option("--by", required=True, help="Name of the person who does it."),
        click.argument("version"),
        click.argument("model"),
        api_key_option,
        url_option,
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.pass_context
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="A table, all that is known, or a line for each signal.",
)
def health(context: click.Context, form: str) -> None:
    """Tell the drift of each model version from its reference, and arm a silent one again.

    Without a command it reads the store that the settings name, as RADSTREAM_STORE__FOLDER; no
    gateway need run. Status 1 if a signal is in alarm or a version silent, 2 if the store does not
    answer.
    """
    if context.invoked_subcommand is not None:
        return
    found = read_healths(read_settings().store)
    if form == "json":
        click.echo(json.dumps([exported(each) for each in found], indent=2))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for each in found for row in _rows(each))
    else:
        for line in _lines(found):
            click.echo(line)
    sys.exit(any(each.alarms() or each.silence for each in found))


@health.command()
@_change_options
def rearm(url: str, api_key: str | None, model: str, version: str, *, by: str, reason: str) -> None:
    """Let a model version be heard again that a stop rule has silenced.

    Its window begins anew, its reference stays. The gateway asks for the scope operate.
    """
    answer = _change(url, api_key, f"{model}/versions/{version}/rearm", by, reason)
    click.echo(f"{model} {version} is heard. It was silent: {answer.get('cause', 'no')}")


@health.command()
@_change_options
def reference(
    url: str, api_key: str | None, model: str, version: str, *, by: str, reason: str
) -> None:
    """Make the next readings of a model version its reference.

    The gateway asks for the scope operate.
    """
    _change(url, api_key, f"{model}/versions/{version}/reference", by, reason)
    click.echo(f"{model} {version}: its next readings are its reference")


def _change(url: str, api_key: str | None, path: str, by: str, reason: str) -> dict[str, Any]:
    with gateway_client(url, api_key) as client:
        answer = ask(client, "POST", f"/v1/models/{path}", params={"by": by, "reason": reason})
    changed: dict[str, Any] = answer.json()
    return changed


def read_healths(settings: StoreSettings) -> Sequence[ModelHealth]:
    """Return the healths in a store; end the command if it does not answer."""

    async def read() -> Sequence[ModelHealth]:
        async with opened_store(settings) as objects:
            return await healths(objects)

    try:
        return asyncio.run(read())
    except StoreUnavailableError as error:
        raise StoreNotReadError(f"the store does not answer: {error.reason}") from error


def exported(found: ModelHealth) -> dict[str, Any]:
    """Return a health without what is of use to gateways alone."""
    internal = {"merged_keys", "block", "blocks", "evidence", "truth", "runs"}
    judged = found.judged().truth.items()
    return {
        **found.model_dump(mode="json", by_alias=True, exclude=internal),
        "reference_source": found.reference_source,
        "window": found.window().model_dump(mode="json"),
        "truth": {label: cells.model_dump() for label, cells in judged},
    }


def _rows(found: ModelHealth) -> Iterator[dict[str, Any]]:
    for name, signal in sorted(found.signals.items()):
        yield {
            "model": found.model,
            "version": found.version,
            "readings": found.readings,
            "reference_source": found.reference_source,
            "reference_readings": found.reference.readings,
            "reference_until": found.reference_until and found.reference_until.isoformat(),
            "signal": name,
            **signal.model_dump(mode="json"),
        }


def _lines(found: Sequence[ModelHealth]) -> Iterator[str]:
    if not found:
        yield "No model has been read since monitoring began."
    for each in found:
        yield f"{each.model} {each.version}: {each.readings:,} readings"
        if each.silence is not None:
            silence = each.silence
            yield (
                f"  SILENT since {silence.since:%Y-%m-%d %H:%M} UTC by {silence.rule}: "
                f"{silence.cause}"
            )
        if each.reference_until is None:
            yield f"  not enough data: the reference has {each.reference.readings:,} readings"
        else:
            yield (
                f"  reference: {each.reference_source}, {each.reference.readings:,} until "
                f"{each.reference_until:%Y-%m-%d %H:%M} UTC"
            )
        for name, signal in sorted(each.signals.items()):
            bounds = "" if signal.low is None else f" ({signal.low:.3f} to {signal.high:.3f})"
            since = signal.alarm_since
            alarm = "" if since is None else f"  ALARM since {since:%Y-%m-%d %H:%M} UTC"
            yield (
                f"  {name:<28} {signal.value:.3f}{bounds}, limit {signal.limit:g}, "
                f"n {signal.n:,}{alarm}"
            )
