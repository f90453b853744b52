"""The `radstream` command."""

from __future__ import annotations

import click

from gateway import __version__
from gateway.cli.lazy_group import LazyGroup

_COMMANDS = (
    *("accept", "backup", "completion", "deliveries", "destinations", "doctor", "feedback"),
    *("health", "keys", "models", "parked", "probe", "report", "rules", "send", "serve"),
    *("studies", "up", "verify"),
)


@click.group(
    cls=LazyGroup,
    modules={name: f"gateway.cli.{name}" for name in _COMMANDS} | {"study": "gateway.cli.studies"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="radstream")
def main() -> None:
    """The gateway between the hospital and its radiology AI models.

    Settings are environment variables named RADSTREAM_<GROUP>__<NAME>; docs/settings.md has them.
    """
