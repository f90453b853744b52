"""`radstream up`: runs the gateway and a Triton of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gateway.app.embedded import serve_with_triton
from gateway.app.errors import AddressUnavailableError, StartError
from gateway.app.event_loop import run
from gateway.app.tls import CertificateError
from gateway.cli.environment import read_settings
from gateway.triton.embedded import EmbeddedTriton, SidecarError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import Settings


@click.command()
def up() -> None:
    """Run the gateway and a real Triton on this machine."""
    settings = read_settings()
    try:
        came_up = run(serve_with_triton(settings, _announce_all(settings)))
    except (SidecarError, CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)


def _announce_all(settings: Settings) -> Callable[[str, EmbeddedTriton], None]:
    def announce(url: str, triton: EmbeddedTriton) -> None:
        from gateway.cli.banner import banner  # noqa: PLC0415 - Triton starts without it

        click.echo(banner(settings, url, triton, program=sys.argv[0]))

    return announce
