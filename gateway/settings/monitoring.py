"""Monitoring of models in their place."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.group import SettingsGroup


class MonitoringSettings(SettingsGroup):
    """Drift of what models are sent and say."""

    sweep_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Interval in seconds at which counts of readings go to the store and are "
        "merged.",
    )
    reference_readings: int = Field(
        1000,
        ge=100,
        le=1_000_000,
        description="Number of a model version's first readings that later ones are compared with.",
    )
