"""Logs and traces."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.settings.group import SettingsGroup, WebUrl


class LogSettings(SettingsGroup):
    """The gateway's log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    format: Literal["json", "console"] = Field(
        default_factory=lambda: "console" if sys.stderr.isatty() else "json",
        description="Format of the log: JSON lines, or text for a terminal; text on a terminal "
        "if unset.",
    )


class TracingSettings(SettingsGroup):
    """Export of OpenTelemetry traces."""

    kind: Literal["none", "otlp"] = Field(
        "none",
        description="Exporter of traces: none, or OTLP/HTTP to a collector, which needs the extra.",
    )
    endpoint: WebUrl = Field(
        "http://127.0.0.1:4318/v1/traces",
        description="URL that the collector takes traces at.",
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces begun here that are sampled; a caller's own decision "
        "stands.",
    )

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if self.kind == "otlp" and not _installed("opentelemetry.sdk", "opentelemetry.exporter"):
            raise ValueError(
                "kind otlp needs the packages of the extra tracing: install radstream[tracing]"
            )
        return self


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)
