"""Settings of the console."""

import pytest
from pydantic import ValidationError

from gateway.settings import AccessSettings, ConsoleSettings, HttpSettings, Settings

KEY = "A" * 43 + "="


def test_keys_that_the_cipher_takes_are_taken():
    [key] = ConsoleSettings(session_keys=(KEY,)).session_keys
    assert key.get_secret_value() == KEY
    assert KEY not in repr(key)


@pytest.mark.parametrize("key", ["", "secret", KEY[:-2], KEY + KEY, "ä" * 44])
def test_other_keys_are_not(key: str):
    with pytest.raises(ValidationError, match="32 bytes in URL-safe base64"):
        ConsoleSettings(session_keys=(key,))


def test_a_console_beyond_loopback_needs_keys_for_its_sessions(tmp_path):
    groups = {
        "http": HttpSettings(host="0.0.0.0"),  # noqa: S104 - not listened on
        "access": AccessSettings(key_file=tmp_path / "keys"),
    }
    with pytest.raises(ValidationError, match="RADSTREAM_CONSOLE__SESSION_KEYS"):
        Settings(console=ConsoleSettings(enabled=True), **groups)
    Settings(console=ConsoleSettings(enabled=True, session_keys=(KEY,)), **groups)
    Settings(**groups)
