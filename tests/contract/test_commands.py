"""Every command that tells something tells it as JSON too, by one option."""

from collections.abc import Iterator

import click

from gateway.cli.main import main

# They run until they are stopped, print a script, or name their own formats.
OTHERWISE = {"up", "serve", "completion", "health"}


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


def test_every_command_has_the_option_json():
    found = dict(commands(main))
    assert len(found) > 20
    without = {
        name
        for name, command in found.items()
        if name.split()[0] not in OTHERWISE
        and not any(
            "--json" in each.opts and isinstance(each, click.Option) and each.is_flag
            for each in command.params
        )
    }
    assert without == set()
