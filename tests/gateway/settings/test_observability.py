"""Traces: the packages that their export needs."""

import sys

import pytest
from pydantic import ValidationError

from gateway.settings import TracingSettings


@pytest.mark.parametrize("absent", ["opentelemetry.sdk", "opentelemetry.exporter"])
def test_tracing_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, absent: str
):
    TracingSettings(kind="otlp")
    monkeypatch.setitem(sys.modules, absent, None)
    assert TracingSettings().kind == "none"
    with pytest.raises(ValidationError, match=r"radstream\[tracing\]"):
        TracingSettings(kind="otlp")
