"""The `radstream` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gateway import __version__
from gateway.app.server import AddressUnavailableError, run, serve, serve_with_triton
from gateway.app.start_failures import StartError
from gateway.app.tls import CertificateError
from gateway.cli.accept import accept
from gateway.cli.backup import backup
from gateway.cli.banner import banner
from gateway.cli.completion import completion
from gateway.cli.deliveries import deliveries
from gateway.cli.destinations import destinations
from gateway.cli.doctor import doctor
from gateway.cli.environment import read_settings
from gateway.cli.feedback import feedback
from gateway.cli.health import health
from gateway.cli.json_output import json_option
from gateway.cli.keys import keys
from gateway.cli.models import models
from gateway.cli.parked import parked
from gateway.cli.probe import probe
from gateway.cli.report import report
from gateway.cli.rules import rules
from gateway.cli.send import send
from gateway.cli.served_models import list_command as list_models
from gateway.cli.served_models import load_command as load_model
from gateway.cli.served_models import show_command as show_model
from gateway.cli.studies import studies, study
from gateway.cli.verify import reindex_store, verify_store
from gateway.triton.embedded import EmbeddedTriton, SidecarError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="radstream")
def main() -> None:
    """The gateway between the hospital and its radiology AI models.

    Settings are environment variables named RADSTREAM_<GROUP>__<NAME>; docs/settings.md has them.
    """


@main.command()
def up() -> None:
    """Run the gateway and a real Triton on this machine."""
    settings = read_settings()
    try:
        came_up = run(serve_with_triton(settings, _announce_all(settings)))
    except (SidecarError, CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)


@main.command("serve")
def serve_command() -> None:
    """Run the gateway alone, in front of a Triton that runs elsewhere."""
    settings = read_settings()
    try:
        came_up = run(serve(settings, lambda url: click.echo(f"RadStream listens on {url}")))
    except (CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)


@main.command()
@json_option("each line")
@click.option(
    "--reindex",
    is_flag=True,
    help="Make the search index anew of the studies' documents; nothing else is looked at.",
)
def verify(*, as_json: bool, reindex: bool) -> None:
    """Verify the store: documents, images and the references between them. Write nothing.

    Print a line for each finding, which may hold a study_id. End with status 1 if one is a fault,
    with 2 if the store does not answer.
    """
    if reindex:
        reindex_store(read_settings().store, as_json=as_json)
        return
    sys.exit(0 if verify_store(read_settings().store, as_json=as_json) else 1)


main.add_command(accept)
main.add_command(backup)
main.add_command(feedback)
main.add_command(send)
main.add_command(parked)
main.add_command(deliveries)
main.add_command(destinations)
models.add_command(list_models)
models.add_command(load_model)
models.add_command(show_model)
main.add_command(models)
main.add_command(report)
main.add_command(probe)
main.add_command(doctor)
main.add_command(studies)
main.add_command(study)
main.add_command(completion)
main.add_command(health)
main.add_command(keys)
main.add_command(rules)


def _announce_all(settings: Settings) -> Callable[[str, EmbeddedTriton], None]:
    def announce(url: str, triton: EmbeddedTriton) -> None:
        click.echo(banner(settings, url, triton, program=sys.argv[0]))

    return announce
