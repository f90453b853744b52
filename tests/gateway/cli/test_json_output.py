"""The option `--json` prints a document for a program in place of the text for a person."""

import json

import click
from click.testing import CliRunner

from gateway.cli.json_output import json_option, tell


@click.command()
@json_option("the greeting")
def greet(*, as_json: bool) -> None:
    tell({"text": "hello"}, "hello", as_json=as_json)


def test_a_document_is_a_line_of_json_or_a_text():
    assert CliRunner().invoke(greet).stdout == "hello\n"
    assert json.loads(CliRunner().invoke(greet, ["--json"]).stdout) == {"text": "hello"}
    assert "Print the greeting, as JSON." in CliRunner().invoke(greet, ["--help"]).stdout
