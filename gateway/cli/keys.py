"""`radstream keys`: makes and revokes API keys in the file that the gateway reads."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from gateway.access.api_keys import KeyDocument, KeyFileError, make_key
from gateway.access.callers import Scope
from gateway.access.key_file import change_keys, read_keys
from gateway.cli.json_output import json_option, tell
from gateway.schemas.validation_faults import sentence
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.access.api_keys import KeyEntry

_FILE = click.option(
    "--file",
    "path",
    envvar=f"{PREFIX}ACCESS{DELIMITER}KEY_FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The key file; {PREFIX}ACCESS{DELIMITER}KEY_FILE if not given.",
)


@click.group()
def keys() -> None:
    """Create, list and revoke API keys; a running gateway follows within seconds."""


@keys.command()
@_FILE
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="A scope of the key; may be given several times.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Days after which the key expires.")
@json_option("the key and its entry")
def create(
    path: Path, name: str, scopes: Sequence[str], days: int | None, *, as_json: bool
) -> None:
    """Create a key for a caller and print it, this once.

    Several keys may have one name: make the new one, hand it over, then revoke the old one.
    """
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    expires_at = now + dt.timedelta(days=days) if days else None
    with _told():
        key, entry = make_key(
            name, frozenset(Scope(scope) for scope in scopes), now=now, expires_at=expires_at
        )
        change_keys(path, lambda document: KeyDocument(keys=(*document.keys, entry)))
    tell({"key": key, **_told_of(entry)}, key, as_json=as_json)
    click.echo("Only its hash is kept: the key cannot be shown again.", err=True)


@keys.command("list")
@_FILE
@json_option("each key's entry, a line each")
def list_command(path: Path, *, as_json: bool) -> None:
    """List the keys, without their secrets."""
    with _told():
        document = read_keys(path)
    for entry in document.keys:
        told = _told_of(entry)
        expires = f"expires {told['expires_at']}" if entry.expires_at else "does not expire"
        line = f"{entry.id}  {entry.name}  {' '.join(told['scopes'])}  {expires}"
        tell(told, line, as_json=as_json)


@keys.command()
@_FILE
@json_option("the id of each key that was revoked, a line each")
@click.argument("ids", nargs=-1, required=True)
def revoke(path: Path, ids: Sequence[str], *, as_json: bool) -> None:
    """Revoke keys by the ids that `list` shows and that stand in the keys themselves."""

    def without(document: KeyDocument) -> KeyDocument:
        missing = set(ids) - {entry.id for entry in document.keys}
        if missing:
            raise click.ClickException(f"no key has the id {', '.join(sorted(missing))}")
        return KeyDocument(keys=tuple(entry for entry in document.keys if entry.id not in ids))

    with _told():
        change_keys(path, without)
    for key_id in ids:
        tell({"id": key_id}, f"{key_id}  revoked", as_json=as_json)


def _told_of(entry: KeyEntry) -> dict[str, Any]:
    """Return a key's entry without its secret."""
    told = entry.model_dump(mode="json", exclude={"sha256"})
    return told | {"scopes": sorted(told["scopes"])}


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except KeyFileError as error:
        raise click.ClickException(f"the key file cannot be used: {error}") from error
    except ValidationError as error:
        [fault, *_] = error.errors(include_input=False)
        raise click.ClickException(f"{fault['loc'][0]}: {sentence(fault)}") from error
