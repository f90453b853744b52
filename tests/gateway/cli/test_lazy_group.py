"""Commands are imported when they are called, and not before."""

import click

from gateway.cli.lazy_group import LazyGroup

GROUP = LazyGroup("group", modules={"up": "gateway.cli.up", "send": "gateway.cli.send"})
CONTEXT = click.Context(GROUP)


def test_the_names_of_all_are_listed_in_order():
    assert GROUP.list_commands(CONTEXT) == ["send", "up"]


def test_each_is_found_by_its_name_and_no_other():
    found = GROUP.get_command(CONTEXT, "send")
    assert found is not None
    assert found.name == "send"
    assert GROUP.get_command(CONTEXT, "import_module") is None
