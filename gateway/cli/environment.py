"""The settings of a command, from the environment."""

from __future__ import annotations

import json
import os

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from gateway.observability import logs
from gateway.schemas.validation_faults import sentence
from gateway.settings import DELIMITER, PREFIX, Settings, json_names, unknown_names


class InvalidSettingsError(click.ClickException):
    """The settings are not valid; ends the command.

    Parameters
    ----------
    faults
        Every one of them.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the settings are not valid\n  " + "\n  ".join(faults))
        self.faults = faults


def read_settings() -> Settings:
    """Return the settings, with the log set up by them.

    Raises
    ------
    InvalidSettingsError
    """
    faults = [f"{name}: no such setting" for name in unknown_names(os.environ)]
    try:
        settings = Settings()
    except ValidationError as error:
        faults += [
            f"{PREFIX}{DELIMITER.join(str(step) for step in item['loc']).upper()}: {sentence(item)}"
            if item["loc"]
            else sentence(item)
            for item in error.errors()
            if item["type"] != "extra_forbidden"  # an unknown name, listed above
        ]
    except SettingsError as error:  # a group's own name, which is unknown as well, or no JSON
        faults = faults or _json_faults(error)
    if faults:
        raise InvalidSettingsError(faults)
    logs.configure(settings.logs)
    return settings


def _json_faults(error: SettingsError) -> list[str]:
    """Return a fault for each variable of the text that is no JSON: the error names its group."""
    cause = error.__cause__
    text = cause.doc if isinstance(cause, json.JSONDecodeError) else None
    names = {name.upper() for name, value in os.environ.items() if value == text}
    faulty = sorted(names & json_names())
    return [f'{name}: must be JSON, such as ["one", "two"]' for name in faulty] or [str(error)]
