"""The settings of a command."""

import pytest

from gateway.cli.environment import InvalidSettingsError, read_settings


def test_settings_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_HTTP__PORT", "8123")
    assert read_settings().http.port == 8123


def test_every_fault_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_HTTP__PORT", "many")
    monkeypatch.setenv("RADSTREAM_HTTP__COLOUR", "blue")
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings()
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "RADSTREAM_HTTP__COLOUR",
        "RADSTREAM_HTTP__PORT",
    ]
