"""`radstream models`: work on a model repository. Each command loads only what it needs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from gateway.cli.json_output import json_option, tell
from gateway.cli.served_models import list_command, load_command, show_command
from gateway.errors import (
    ContractError,
    ObjectNotFoundError,
    StoreError,
    UnreadableDocumentError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group()
def models() -> None:
    """List and load models; prepare, tune, publish and download repositories."""


models.add_command(list_command)
models.add_command(load_command)
models.add_command(show_command)


@models.command()
@click.argument("repository", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("names", nargs=-1)
@json_option("each folder, a line each")
def build(repository: Path, names: Sequence[str], *, as_json: bool) -> None:
    """Write the ensembles with which Triton preprocesses images for models.

    For the models named, or all that have a contract. Then set RADSTREAM_TRITON__PLACEMENT=triton.
    """
    from gateway.models.build import build_placements, models_with_contract  # noqa: PLC0415 - onnx is not needed to serve

    try:
        for name in names or models_with_contract(repository):
            for folder in build_placements(repository, name):
                tell({"folder": str(folder)}, str(folder), as_json=as_json)
    except ContractError as error:
        raise click.ClickException(error.reason) from error


@models.command()
@click.argument("repository", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target")
@json_option("the digest")
def publish(repository: Path, target: str, *, as_json: bool) -> None:
    """Upload a repository to s3://BUCKET/PREFIX/DIGEST, and print the digest.

    A published repository is never overwritten, and a version of a model has the same contents in
    every digest. Credentials, region and endpoint are those of AWS's own variables and files.
    """
    from gateway.models.publish import publish as publish_models  # noqa: PLC0415 - nor is S3 for the rest

    _check_source(target)
    try:
        digest = asyncio.run(publish_models(repository, target))
    except ContractError as error:
        raise click.ClickException(error.reason) from error
    except StoreError as error:
        raise click.ClickException(f"{target}: {_said(error)}") from error
    tell({"digest": digest}, digest, as_json=as_json)


@models.command()
@click.argument("source")
@click.argument("repository", type=click.Path(file_okay=False, path_type=Path))
@json_option("the number of files")
def fetch(source: str, repository: Path, *, as_json: bool) -> None:
    """Download the repository s3://BUCKET/PREFIX/DIGEST and check its digest.

    Credentials, region and endpoint are those of AWS's own variables and files.
    """
    from gateway.models.fetch import fetch as fetch_models  # noqa: PLC0415 - see above

    _check_source(source)
    try:
        fetched = asyncio.run(fetch_models(source, repository))
    except StoreError as error:
        raise click.ClickException(f"{source}: {_said(error)}") from error
    counts = {"files": len(fetched), "source": source}
    tell(counts, f"{len(fetched)} files from {source}", as_json=as_json)


@models.command()
@click.argument("repository", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tuning", type=click.File())
@json_option("each file that was changed, a line each")
def tune(repository: Path, tuning: IO[str], *, as_json: bool) -> None:
    """Set instances and dynamic batching of models from a JSON file.

    For each model any of instances, max_queue_delay_us, preferred_batch_sizes and max_queue_size.
    """
    from gateway.models.tune import read_tunings  # noqa: PLC0415 - nor Triton's own schema
    from gateway.models.tune import tune as tune_models  # noqa: PLC0415

    try:
        for path in tune_models(repository, read_tunings(tuning.read())):
            tell({"file": str(path)}, str(path), as_json=as_json)
    except ContractError as error:
        raise click.ClickException(error.reason) from error


def _check_source(source: str) -> None:
    if not re.fullmatch(r"s3://[^/]+(/.*)?", source):
        raise click.ClickException(f"{source} is not of the form s3://BUCKET/PREFIX")


def _said(error: StoreError) -> str:
    if isinstance(error, ObjectNotFoundError):
        return "nothing is there"
    if isinstance(error, UnreadableDocumentError):
        return f"{error.place}: {error.reason}"
    return getattr(error, "reason", "")
