"""Settings from the environment: every one of them, and every fault at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from gateway.settings import (
    PREFIX,
    DimseSettings,
    RoutingSettings,
    Settings,
    setting_names,
    unknown_names,
)

NAMES = [name for name, _ in setting_names()]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def faults() -> set[str]:
    with pytest.raises(ValidationError) as refused:
        Settings()
    return {".".join(map(str, fault["loc"])) for fault in refused.value.errors()}


def test_the_defaults_are_those_of_one_machine():
    settings = Settings()
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.limits.body_bytes == 64 * 2**20
    assert settings.limits.parts == 16
    assert settings.limits.image_pixels == 100_000_000
    assert settings.limits.image_threads >= 1
    assert settings.telemetry.study_ref_key is None


def test_every_setting_has_a_name_and_a_sentence():
    assert len(NAMES) == len(set(NAMES))
    for name, sentence in setting_names():
        assert name.startswith(PREFIX)
        assert sentence.endswith("."), name


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("RADSTREAM_HTTP__PORT", "0", lambda settings: settings.http.port == 0),
        ("RADSTREAM_HTTP__HOST", "::1", lambda settings: settings.http.host == "::1"),
        ("radstream_http__port", "1", lambda settings: settings.http.port == 1),
        ("RADSTREAM_LIMITS__PARTS", "3", lambda settings: settings.limits.parts == 3),
        ("RADSTREAM_TRITON__URL", "t:1", lambda settings: settings.triton.url == "t:1"),
        ("RADSTREAM_LOGS__LEVEL", "error", lambda settings: settings.logs.level == "error"),
    ],
)
def test_a_setting_is_read(
    name: str, value: str, read: Callable[[Settings], bool], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, value)
    assert read(Settings())


def test_every_fault_is_found_at_once(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "HTTP__HOST": "example.org",
        "HTTP__PORT": "65536",
        "HTTP__REQUEST_TIMEOUT_S": "0",
        "LIMITS__PARTS": "1",
        "LIMITS__BODY_BYTES": "64 MiB",
        "TRITON__REFRESH_S": "inf",
        "LOGS__FORMAT": "xml",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    assert faults() == {
        "http.host",
        "http.port",
        "http.request_timeout_s",
        "limits.parts",
        "limits.body_bytes",
        "triton.refresh_s",
        "logs.format",
    }


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4"])  # noqa: S104 - are refused
def test_refuses_any_other_address_while_nobody_is_asked_who_they_are(
    host: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RADSTREAM_HTTP__HOST", host)
    assert faults() == {""}
    monkeypatch.setenv("RADSTREAM_ACCESS__KEY_FILE", "keys.json")
    assert Settings().http.host == host
    monkeypatch.delenv("RADSTREAM_ACCESS__KEY_FILE")
    monkeypatch.setenv("RADSTREAM_ACCESS__ISSUER", "https://id.example.org")
    monkeypatch.setenv("RADSTREAM_ACCESS__AUDIENCE", "radstream")
    assert Settings().http.host == host
    monkeypatch.delenv("RADSTREAM_ACCESS__AUDIENCE")
    monkeypatch.setenv("RADSTREAM_ACCESS__CLIENT_IDS", '["1example23456789"]')
    assert Settings().http.host == host
    for wrong in ("[]", '[""]', "1example23456789"):
        monkeypatch.setenv("RADSTREAM_ACCESS__CLIENT_IDS", wrong)
        with pytest.raises((ValidationError, SettingsError)):
            Settings()


def test_memory_for_less_than_one_body_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_ADMISSION__BYTES", str(2**20))
    with pytest.raises(ValidationError, match=r"at least limits\.body_bytes"):
        Settings()
    monkeypatch.setenv("RADSTREAM_LIMITS__BODY_BYTES", str(2**20))
    assert Settings().admission.bytes == 2**20


def test_finds_names_that_are_no_settings():
    environment = {
        "RADSTREAM_HTTP__PORT": "1",
        "radstream_http__port": "1",
        "RADSTREAM_PORT": "1",
        "RADSTREAM_HTTP": "{}",
        "RADSTREAM_HTTP__PORT__X": "1",
        "PATH": "/bin",
        "RADSTREAMER": "x",
    }
    assert unknown_names(environment) == [
        "RADSTREAM_HTTP",
        "RADSTREAM_HTTP__PORT__X",
        "RADSTREAM_PORT",
    ]


def test_settings_do_not_change():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.http = settings.http  # type: ignore[misc]


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADSTREAM_TELEMETRY__STUDY_REF_KEY", "hunter2")
    settings = Settings()
    assert "hunter2" not in repr(settings)
    assert settings.telemetry.study_ref_key is not None
    assert settings.telemetry.study_ref_key.get_secret_value() == "hunter2"


@pytest.mark.parametrize("dimse", [{}, {"port": 11112}, {"listen": True}])
def test_strangers_send_nothing_over_dicom(dimse: dict[str, Any], tmp_path: Path):
    """`radstream up` listens, too, where nothing is said of it."""
    everywhere = DimseSettings(host="0.0.0.0", **dimse)  # noqa: S104 - what is refused
    with pytest.raises(ValidationError, match="RADSTREAM_ROUTING__FILE"):
        Settings(dimse=everywhere)
    routing = RoutingSettings(file=tmp_path / "routing.json")
    assert not Settings(dimse=everywhere, routing=routing).dimse.is_loopback
    Settings(dimse=everywhere, routing=RoutingSettings(stored=True))
    Settings(dimse=DimseSettings(host="0.0.0.0", listen=False))  # noqa: S104
