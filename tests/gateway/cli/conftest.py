"""Commands that run in the process of the tests leave its logging alone."""

import pytest

from gateway.observability import logs


@pytest.fixture(autouse=True)
def _logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep loggers from being bound for good to what a command has configured."""
    monkeypatch.setattr(logs, "configure", lambda _settings: None)
