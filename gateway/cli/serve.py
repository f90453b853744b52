"""`radstream serve`: runs the gateway alone."""

from __future__ import annotations

import sys

import click

from gateway.app.embedded import serving
from gateway.app.errors import AddressUnavailableError, StartError
from gateway.app.event_loop import run
from gateway.app.tls import CertificateError
from gateway.cli.environment import read_settings


@click.command()
def serve() -> None:
    """Run the gateway alone, in front of a Triton that runs elsewhere."""
    settings = read_settings()
    try:
        serve = serving(settings).serve
        came_up = run(serve(settings, lambda url: click.echo(f"RadStream listens on {url}"), None))
    except (CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)
