"""The gateway beside a Triton of its own; tests/e2e/test_up.py runs it."""

from pathlib import Path

from gateway.app.embedded import serves_console
from gateway.settings import AccessSettings, ConsoleSettings, HttpSettings, Settings


def test_up_serves_the_console_unless_sessions_would_have_no_keys(tmp_path: Path):
    assert serves_console(Settings())
    assert not serves_console(Settings(console=ConsoleSettings(enabled=False)))
    beyond = {
        "http": HttpSettings(host="0.0.0.0"),  # noqa: S104 - not listened on
        "access": AccessSettings(key_file=tmp_path / "keys"),
    }
    assert not serves_console(Settings(**beyond))
    keys = ConsoleSettings(session_keys=("A" * 43 + "=",))
    assert serves_console(Settings(console=keys, **beyond))
