"""Groups of commands of which each is imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from gateway.runtime.imports import importing


class LazyGroup(click.Group):
    """A group whose commands stand in modules of their own.

    Parameters
    ----------
    modules
        Module of each command, by the command's name.
    arguments
        Those of `click.Group`.
    """

    def __init__(self, *arguments: Any, modules: dict[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        del ctx
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of this name."""
        del ctx
        if cmd_name not in self._modules:
            return None
        with importing():
            command: click.Command = getattr(import_module(self._modules[cmd_name]), cmd_name)
        return command
