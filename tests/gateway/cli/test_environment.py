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


def test_what_is_no_json_is_told_of_settings_that_are_to_be_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_COMPLETION__ROUTES", "dimse")
    monkeypatch.setenv("RADSTREAM_DROPFOLDER__FOLDER", "dimse")
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings()
    assert caught.value.faults == [
        'RADSTREAM_COMPLETION__ROUTES: must be JSON, such as ["one", "two"]'
    ]


def test_json_that_python_refuses_is_told_with_the_group(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_COMPLETION__ROUTES", f"[{'1' * 5000}]")
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings()
    assert caught.value.faults == [
        'error parsing value for field "completion" from source "EnvSettingsSource"'
    ]
