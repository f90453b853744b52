"""Acceptance of models before they serve."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gateway.settings.group import SettingsGroup


class ModelSettings(SettingsGroup):
    """Models that serve."""

    require_acceptance: bool = Field(
        False,
        description="Only model versions that a person has accepted with their page (`radstream "
        "accept --approve`) read studies.",
    )


class AcceptanceSettings(SettingsGroup):
    """Pages of `radstream accept`."""

    key_file: Path | None = Field(
        None,
        description="Ed25519 key in PEM, private to sign pages with `radstream accept`; to check "
        "them its public half is enough.",
    )
