"""The settings of a command, from the environment."""

from __future__ import annotations

import os

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from gateway.observability import logs
from gateway.settings import DELIMITER, PREFIX, Settings, unknown_names


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
            f"{PREFIX}{DELIMITER.join(str(step) for step in item['loc']).upper()}: {item['msg']}"
            if item["loc"]
            else item["msg"].removeprefix("Value error, ")
            for item in error.errors()
            if item["type"] != "extra_forbidden"  # an unknown name, listed above
        ]
    except SettingsError as error:  # a group's own name, which is unknown as well
        faults = faults or [str(error)]
    if faults:
        raise InvalidSettingsError(faults)
    logs.configure(settings.logs)
    return settings
