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


@pytest.mark.parametrize(
    ("client", "fault"),
    [
        ({"client_secret": "s"}, "need client_id"),
        ({"client_id": "c"}, "needs redirect_uri"),
        ({"client_id": "c", "redirect_uri": "https://x/console"}, "must end with"),
        ({"client_id": "c", "redirect_uri": "https://x/console/sign-in/callback?a"}, "must end"),
        ({"client_id": "c", "redirect_uri": "http://x/console/sign-in/callback"}, "https"),
    ],
)
def test_a_client_of_the_provider_is_whole(client: dict[str, str], fault: str):
    with pytest.raises(ValidationError, match=fault):
        ConsoleSettings(**client)


def test_a_client_needs_a_provider():
    client = ConsoleSettings(
        client_id="c", redirect_uri="https://x.example/radstream/console/sign-in/callback"
    )
    with pytest.raises(ValidationError, match="RADSTREAM_ACCESS__ISSUER"):
        Settings(console=client)
    Settings(
        console=client, access=AccessSettings(issuer="https://id.example", audience="radstream")
    )
