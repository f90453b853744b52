"""`radstream completion`: completion of commands, options and files in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "fish", "zsh")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in a shell.

    For bash: `radstream completion bash > ~/.local/share/bash-completion/completions/radstream`.
    For zsh a file `_radstream` in a folder of $fpath, for fish
    ~/.config/fish/completions/radstream.fish.
    """
    root = context.find_root()
    shell_class = get_completion_class(shell)
    if shell_class is None:
        raise click.ClickException(f"no completion for {shell}")
    script = shell_class(root.command, {}, "radstream", "_RADSTREAM_COMPLETE")
    click.echo(script.source())
