"""The option `--json`, which every command has that tells something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def json_option(told: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option as a decorator.

    Parameters
    ----------
    told
        Words for the document, such as "each study whole, a line each".
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print {told}, as JSON.")


def tell(document: object, text: str, *, as_json: bool) -> None:
    """Print a document as a line of JSON for a program, or its text for a person."""
    click.echo(json.dumps(document) if as_json else text)
